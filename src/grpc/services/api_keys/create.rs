//! `CreateApiKey`.

use chrono::{DateTime, Utc};

use crate::app::App;
use crate::auth::{self, NewKey};
use crate::domain::{ApiKeyScope, IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{CreateApiKeyRequest, CreateApiKeyResponse};
use crate::store;

struct Params {
    identity_id: IdentityId,
    label: String,
    expires_at: Option<DateTime<Utc>>,
}

fn parse(app: &App, request: CreateApiKeyRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let identity_id = violations.id("agent_identity_id", &request.agent_identity_id);
    let label = violations.text("label", request.label, auth::MAX_LABEL_CHARACTERS);
    let expires_at = violations.timestamp("expires_at", request.expires_at);
    if let Some(Some(expires_at)) = expires_at
        && expires_at <= app.clock.now()
    {
        violations.add("expires_at", "must be in the future");
    }
    violations.finish(|| Some(Params { identity_id: identity_id?, label: label?, expires_at: expires_at? }))
}

pub(super) async fn create(
    app: &App,
    caller: &Principal,
    request: CreateApiKeyRequest,
) -> Result<CreateApiKeyResponse> {
    let params = parse(app, request)?;
    let tenant = caller.require_admin()?;
    let identity = store::identities::current(&app.db, &tenant.organization_id, params.identity_id).await?;
    let identity = identity.ok_or(Error::NotFound(Resource::Identity))?;
    let new = NewKey {
        scope: ApiKeyScope::Identity,
        organization_id: Some(identity.organization_id),
        agent_identity_id: Some(identity.id),
        label: params.label,
        expires_at: params.expires_at,
    };
    let (key, secret) = auth::issue_key(&app.db.acting(tenant.actor()), &*app.clock, new).await?;
    Ok(CreateApiKeyResponse { api_key: Some(key.into()), secret: secret.reveal().to_owned() })
}
