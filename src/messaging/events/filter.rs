//! Which events a reader is shown.

use crate::domain::{ConversationId, EventType, IdentityId, View};
use crate::store::events::LoggedEvent;

/// Which events a reader is shown.
#[derive(Debug, Clone)]
pub struct EventFilter {
    pub identity_id: Option<IdentityId>,
    pub conversation_id: Option<ConversationId>,
    /// Empty = all.
    pub types: Vec<EventType>,
    /// Which messages the reader sees. Events that are about no inbound message belong to the views with non-blocked
    /// messages.
    pub view: View,
}

impl EventFilter {
    /// Whether the reader is shown this event. Events of erased conversations are shown to nobody.
    #[must_use]
    pub fn shows(&self, event: &LoggedEvent) -> bool {
        event.remote_number.is_some()
            && self.view.shows(event.is_blocked)
            && self.identity_id.is_none_or(|id| id == event.identity_id)
            && self.conversation_id.is_none_or(|id| Some(id) == event.conversation_id)
            && (self.types.is_empty() || self.types.contains(&event.event_type))
    }
}
