//! What a kind of key may call.

use crate::app::App;
use crate::domain::{Identity, IdentityId, Principal, Tenant};
use crate::error::{Error, Resource, Result};
use crate::store;

/// The scope checks. Each comes after the request was parsed, since what is malformed is told first.
pub(in crate::grpc) trait Caller {
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
pub(in crate::grpc) fn is_admin(caller: &Principal) -> bool {
    matches!(caller, Principal::Tenant(tenant) if tenant.identity_id.is_none())
}

/// The identity whose rows a list shows: an identity key's own, or the one that an admin key names, or all (`None`).
///
/// # Errors
/// `IdentityMismatch` when an identity key names another: decided before any look-up, so that it tells nothing.
pub(in crate::grpc) fn listed_identity(
    tenant: &Tenant,
    named: Option<IdentityId>,
) -> Result<Option<IdentityId>> {
    match (tenant.identity_id, named) {
        (Some(own), Some(named)) if own != named => Err(Error::IdentityMismatch),
        (Some(own), _) => Ok(Some(own)),
        (None, named) => Ok(named),
    }
}

/// The identity that an admin key names in a list; `None` where it names none, and for an identity key, whose own
/// identity needs no look-up.
///
/// # Errors
/// `NotFound` when the organization has no such identity.
pub(in crate::grpc) async fn identity_named_by_admin(
    app: &App,
    tenant: &Tenant,
    identity_id: Option<IdentityId>,
) -> Result<Option<Identity>> {
    let (None, Some(named)) = (tenant.identity_id, identity_id) else { return Ok(None) };
    let identity = store::identities::get(&app.db, &tenant.organization_id, named).await?;
    identity.map(Some).ok_or(Error::NotFound(Resource::Identity))
}
