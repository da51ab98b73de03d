//! Identities: the agents.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{IdentityId, OrganizationId};

wire_enum! {
    /// How an identity's contact rules are read.
    FilterMode {
        /// Everyone may reach the identity, but those whom an active block rule names.
        Blacklist = 1,
        /// No one may reach the identity, but those whom an active allow rule names.
        Whitelist = 2,
    }
}

/// An agent.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// Its owner.
    pub organization_id: OrganizationId,
    /// Handle as it was given, without `@`.
    pub agent_handle: String,
    /// Free text for people; may be empty.
    pub display_name: String,
    /// Off: inbound texts are dropped and operations refused.
    pub imessage_enabled: bool,
    /// How its contact rules are read.
    pub filter_mode: FilterMode,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When a field last changed.
    pub updated_at: DateTime<Utc>,
}
