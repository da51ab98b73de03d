//! `RevokeApiKey`.

use crate::app::App;
use crate::domain::{ApiKeyId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::middleware::auth::KeyRing;
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{RevokeApiKeyRequest, RevokeApiKeyResponse};
use crate::store;
use crate::store::api_keys::KeyOwner;

fn parse(message: &RevokeApiKeyRequest) -> Result<ApiKeyId> {
    let mut fields = Violations::default();
    let id = fields.id("api_key_id", &message.api_key_id);
    fields.finish(|| id)
}

pub(super) async fn revoke(
    app: &App,
    keys: &KeyRing,
    caller: &Principal,
    message: RevokeApiKeyRequest,
) -> Result<RevokeApiKeyResponse> {
    let id = parse(&message)?;
    let tenant = caller.admin()?;
    let owner = KeyOwner::Organization(tenant.organization_id.clone());
    let revoked = store::api_keys::revoke(&app.db, owner, id, app.clock.now()).await?;
    let key = revoked.ok_or(Error::NotFound(Resource::ApiKey))?;
    // Here at once; the other replicas see the epoch move within half a second.
    keys.forget_all();
    Ok(RevokeApiKeyResponse { api_key: Some(key.into()) })
}
