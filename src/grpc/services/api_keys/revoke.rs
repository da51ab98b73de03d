//! `RevokeApiKey`.

use crate::app::App;
use crate::auth::KeyCache;
use crate::domain::{ApiKeyId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{RevokeApiKeyRequest, RevokeApiKeyResponse};
use crate::store;
use crate::store::api_keys::KeyOwner;

fn parse(request: &RevokeApiKeyRequest) -> Result<ApiKeyId> {
    let mut violations = Violations::default();
    let id = violations.id("api_key_id", &request.api_key_id);
    violations.finish(|| id)
}

pub(super) async fn revoke(
    app: &App,
    keys: &KeyCache,
    caller: &Principal,
    request: RevokeApiKeyRequest,
) -> Result<RevokeApiKeyResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_admin()?;
    let owner = KeyOwner::Organization(tenant.organization_id.clone());
    let revoked = store::api_keys::revoke(&app.db.acting(tenant.actor()), owner, id, app.clock.now()).await?;
    let key = revoked.ok_or(Error::NotFound(Resource::ApiKey))?;
    // Immediate in this process. Other replicas notice the new key epoch within half a second.
    keys.invalidate_all();
    Ok(RevokeApiKeyResponse { api_key: Some(key.into()) })
}
