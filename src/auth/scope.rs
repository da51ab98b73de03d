//! Authorization: what the scope of an API key allows. Every API makes these checks after it has parsed the request,
//! because `InvalidArgument` precedes `ScopeInsufficient` in the order of errors.

use crate::domain::{Identity, IdentityId, Principal, Tenant};
use crate::error::{Error, Resource, Result};
use crate::store::{Database, identities};

impl Principal {
    /// The tenant of an admin or identity key.
    ///
    /// # Errors
    /// `ScopeInsufficient` for a router key.
    pub fn require_tenant(&self) -> Result<&Tenant> {
        match self {
            Self::Tenant(tenant) => Ok(tenant),
            Self::Router { .. } => Err(Error::ScopeInsufficient("an admin or identity key")),
        }
    }

    /// The tenant of an admin key.
    ///
    /// # Errors
    /// `ScopeInsufficient` for an identity or router key.
    pub fn require_admin(&self) -> Result<&Tenant> {
        match self {
            Self::Tenant(tenant) if tenant.is_admin() => Ok(tenant),
            _ => Err(Error::ScopeInsufficient("an admin key")),
        }
    }

    /// Accepts a router key.
    ///
    /// # Errors
    /// `ScopeInsufficient` for an admin or identity key.
    pub fn require_router(&self) -> Result<()> {
        match self {
            Self::Router { .. } => Ok(()),
            Self::Tenant(_) => Err(Error::ScopeInsufficient("a router key")),
        }
    }
}

impl Tenant {
    /// The identity to whose rows a request is restricted: an identity key's own, or the one that an admin key names.
    /// `None` = the whole organization.
    ///
    /// # Errors
    /// `IdentityMismatch` when an identity key names another identity. No row is read for this decision, so that the
    /// answer does not reveal whether the other identity exists.
    pub fn identity_scope(&self, named: Option<IdentityId>) -> Result<Option<IdentityId>> {
        match (self.identity_id, named) {
            (Some(own), Some(named)) if own != named => Err(Error::IdentityMismatch),
            (Some(own), _) => Ok(Some(own)),
            (None, named) => Ok(named),
        }
    }
}

/// The identity that an admin key names in a list. `None` if it names none, and for an identity key, whose own identity
/// needs no lookup.
///
/// # Errors
/// `NotFound` when the organization has no such identity.
pub async fn find_named_identity(
    db: &Database,
    tenant: &Tenant,
    identity_id: Option<IdentityId>,
) -> Result<Option<Identity>> {
    let (true, Some(named)) = (tenant.is_admin(), identity_id) else { return Ok(None) };
    // From the primary, since it decides between an answer and an error.
    let identity = identities::current(db, &tenant.organization_id, named).await?;
    identity.map(Some).ok_or(Error::NotFound(Resource::Identity))
}
