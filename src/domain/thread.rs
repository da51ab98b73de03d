//! The two ends of an exchange of messages.

use super::{ConversationId, OrganizationId, PhoneNumber};

/// The conversation that a thread belongs to.
#[derive(Debug, Clone)]
pub struct ThreadOwner {
    pub organization_id: OrganizationId,
    pub conversation_id: ConversationId,
}

/// One human on one line.
#[derive(Debug, Clone)]
pub struct Thread {
    /// `None` for the thread of the router line, whose replies belong to no agent.
    pub owner: Option<ThreadOwner>,
    pub line_number: PhoneNumber,
    pub remote_number: PhoneNumber,
    /// The carrier's id of the chat in which the human's newest text arrived; `None` if there was none, or if the carrier
    /// addresses humans by number.
    pub chat: Option<String>,
}
