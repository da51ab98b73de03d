//! `GetIdentity`.

use crate::app::App;
use crate::domain::{IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{GetIdentityRequest, GetIdentityResponse};
use crate::store;

fn parse(request: &GetIdentityRequest) -> Result<IdentityId> {
    let mut violations = Violations::default();
    let id = violations.id("identity_id", &request.identity_id);
    violations.finish(|| id)
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    request: GetIdentityRequest,
) -> Result<GetIdentityResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_tenant()?;
    // For an identity key, every other identity reads as absent.
    tenant.identity_scope(Some(id)).map_err(|_| Error::NotFound(Resource::Identity))?;
    let identity = store::identities::get(&app.db, &tenant.organization_id, id).await?;
    let identity = identity.ok_or(Error::NotFound(Resource::Identity))?;
    Ok(GetIdentityResponse { identity: Some(identity.into()) })
}
