//! Connections: one human on one pool line with one identity.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{ConnectionId, IdentityId, OrganizationId, PhoneNumber};

wire_enum! {
    /// Whether a connection carries messages.
    AssignmentStatus {
        /// It does.
        Active = 1,
        /// It ended, for good: reconnecting makes a new one.
        Released = 2,
    }
}

/// A connection, without its line: a line number is never shown to an agent or an admin.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its id, the `assignment_id` of its conversation.
    pub id: ConnectionId,
    /// Its owner.
    pub organization_id: OrganizationId,
    /// The identity.
    pub agent_identity_id: IdentityId,
    /// The human.
    pub remote_number: PhoneNumber,
    /// When it ended; `None` while active.
    pub released_at: Option<DateTime<Utc>>,
    /// When the human connected.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
}

impl Connection {
    /// Follows from `released_at`.
    #[must_use]
    pub const fn status(&self) -> AssignmentStatus {
        if self.released_at.is_some() { AssignmentStatus::Released } else { AssignmentStatus::Active }
    }
}
