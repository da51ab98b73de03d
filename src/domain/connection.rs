//! Connections: one human on one pool line with one identity.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{ConnectionId, IdentityId, OrganizationId, PhoneNumber};

wire_enum! {
    AssignmentStatus {
        /// The connection carries messages.
        Active = 1,
        /// The connection has ended. Reconnecting creates a new one.
        Released = 2,
    }
}

/// A connection (`assignment` on the wire). Without its line, whose number is never shown to agents or admins.
#[derive(Debug, Clone)]
pub struct Connection {
    pub id: ConnectionId,
    pub organization_id: OrganizationId,
    pub agent_identity_id: IdentityId,
    /// The human's number.
    pub remote_number: PhoneNumber,
    /// `None` while active.
    pub released_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// Time of the last change of status.
    pub updated_at: DateTime<Utc>,
}

impl Connection {
    #[must_use]
    pub const fn status(&self) -> AssignmentStatus {
        if self.released_at.is_some() { AssignmentStatus::Released } else { AssignmentStatus::Active }
    }
}
