//! What a kind of key may call.

use crate::domain::{IdentityId, Principal, Tenant};
use crate::error::{Error, Result};

/// The scope checks. Each comes after the request was parsed, since what is malformed is told first.
pub(super) trait Caller {
    /// An admin or identity key.
    fn tenant(&self) -> Result<&Tenant>;
    /// An admin key.
    fn admin(&self) -> Result<&Tenant>;
    /// A router key.
    fn router(&self) -> Result<()>;
}

impl Caller for Principal {
    fn tenant(&self) -> Result<&Tenant> {
        match self {
            Self::Tenant(tenant) => Ok(tenant),
            Self::Router { .. } => Err(Error::ScopeInsufficient("an admin or identity key")),
        }
    }

    fn admin(&self) -> Result<&Tenant> {
        match self {
            Self::Tenant(tenant) if tenant.identity_id.is_none() => Ok(tenant),
            _ => Err(Error::ScopeInsufficient("an admin key")),
        }
    }

    fn router(&self) -> Result<()> {
        match self {
            Self::Router { .. } => Ok(()),
            Self::Tenant(_) => Err(Error::ScopeInsufficient("a router key")),
        }
    }
}

/// Whether the caller has an admin key: some fields are required of it alone.
pub(super) fn is_admin(caller: &Principal) -> bool {
    matches!(caller, Principal::Tenant(tenant) if tenant.identity_id.is_none())
}

/// The identity whose rows a list shows: an identity key's own, or the one that an admin key names, or all (`None`).
///
/// # Errors
/// `IdentityMismatch` when an identity key names another: decided before any look-up, so that it tells nothing.
pub(super) fn listed_identity(tenant: &Tenant, named: Option<IdentityId>) -> Result<Option<IdentityId>> {
    match (tenant.identity_id, named) {
        (Some(own), Some(named)) if own != named => Err(Error::IdentityMismatch),
        (Some(own), _) => Ok(Some(own)),
        (None, named) => Ok(named),
    }
}
