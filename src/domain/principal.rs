//! Who is calling.

use super::{ApiKeyId, IdentityId, OrganizationId};

/// The holder of an API key, as the key was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Admin or identity key: acts inside one organization.
    Tenant(Tenant),
    /// Router key: the lines' side, no organization.
    Router {
        /// The key.
        key_id: ApiKeyId,
    },
}

/// A caller inside one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The key.
    pub key_id: ApiKeyId,
    /// Its organization: no row of another is ever read for it.
    pub organization_id: OrganizationId,
    /// The only identity of an identity key; `None` for an admin key.
    pub identity_id: Option<IdentityId>,
}

impl Principal {
    /// The key that was used.
    #[must_use]
    pub const fn key_id(&self) -> ApiKeyId {
        match self {
            Self::Tenant(tenant) => tenant.key_id,
            Self::Router { key_id } => *key_id,
        }
    }
}
