//! `GetIdentity`.

use crate::app::App;
use crate::domain::{IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{GetIdentityRequest, GetIdentityResponse};
use crate::store;

fn parse(message: &GetIdentityRequest) -> Result<IdentityId> {
    let mut fields = Violations::default();
    let id = fields.id("identity_id", &message.identity_id);
    fields.finish(|| id)
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    message: GetIdentityRequest,
) -> Result<GetIdentityResponse> {
    let id = parse(&message)?;
    let tenant = caller.tenant()?;
    // To an identity key every identity but its own is absent.
    if tenant.identity_id.is_some_and(|own| own != id) {
        return Err(Error::NotFound(Resource::Identity));
    }
    let identity = store::identities::get(&app.db, &tenant.organization_id, id).await?;
    let identity = identity.ok_or(Error::NotFound(Resource::Identity))?;
    Ok(GetIdentityResponse { identity: Some(identity.into()) })
}
