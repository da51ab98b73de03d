//! Identities: the agents.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{IdentityId, OrganizationId};

wire_enum! {
    /// Which numbers the contact rules of an identity allow.
    FilterMode {
        /// All numbers except those with an active block rule.
        Blacklist = 1,
        /// Only numbers with an active allow rule.
        Whitelist = 2,
    }
}

/// Maximum length of the name that people see, in characters.
pub const MAX_DISPLAY_NAME_CHARACTERS: usize = 255;

#[derive(Debug, Clone)]
pub struct Identity {
    pub id: IdentityId,
    pub organization_id: OrganizationId,
    /// The handle for display, without `@`.
    pub agent_handle: String,
    /// Free text; may be empty.
    pub display_name: String,
    /// What the agent does, free text; never empty.
    pub description: Option<String>,
    /// If false, inbound texts are discarded and operations rejected.
    pub imessage_enabled: bool,
    pub filter_mode: FilterMode,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}
