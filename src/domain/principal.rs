//! The caller of a request.

use super::{Actor, ApiKeyId, IdentityId, OrganizationId};

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// An admin or identity key.
    Tenant(Tenant),
    /// A router key. Belongs to the operator of the lines, and to no organization.
    Router { key_id: ApiKeyId },
}

/// A caller of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub key_id: ApiKeyId,
    /// The only organization whose rows are read for this caller.
    pub organization_id: OrganizationId,
    /// The only identity of an identity key; `None` for an admin key.
    pub identity_id: Option<IdentityId>,
}

impl Tenant {
    /// The caller as the audit log names it.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        Actor::Key(self.key_id)
    }

    /// Whether the key is an admin key.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        self.identity_id.is_none()
    }
}

impl Principal {
    /// Whether the key is an admin key. Some request fields are required of admin keys only.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        matches!(self, Self::Tenant(tenant) if tenant.is_admin())
    }

    #[must_use]
    pub const fn key_id(&self) -> ApiKeyId {
        match self {
            Self::Tenant(tenant) => tenant.key_id,
            Self::Router { key_id } => *key_id,
        }
    }
}
