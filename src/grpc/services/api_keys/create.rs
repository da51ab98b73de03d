//! `CreateApiKey`.

use chrono::{DateTime, Utc};

use crate::app::App;
use crate::auth::issue::{self, NewKey};
use crate::domain::{ApiKeyScope, IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{CreateApiKeyRequest, CreateApiKeyResponse};
use crate::store;

struct Parsed {
    identity_id: IdentityId,
    label: String,
    expires_at: Option<DateTime<Utc>>,
}

fn parse(app: &App, message: CreateApiKeyRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let identity_id = fields.id("agent_identity_id", &message.agent_identity_id);
    let label = fields.text("label", message.label, issue::LABEL_LIMIT);
    let expires_at = fields.timestamp("expires_at", message.expires_at);
    if let Some(Some(expires_at)) = expires_at
        && expires_at <= app.clock.now()
    {
        fields.add("expires_at", "must be in the future");
    }
    fields.finish(|| Some(Parsed { identity_id: identity_id?, label: label?, expires_at: expires_at? }))
}

pub(super) async fn create(
    app: &App,
    caller: &Principal,
    message: CreateApiKeyRequest,
) -> Result<CreateApiKeyResponse> {
    let request = parse(app, message)?;
    let tenant = caller.admin()?;
    let identity = store::identities::current(&app.db, &tenant.organization_id, request.identity_id).await?;
    let identity = identity.ok_or(Error::NotFound(Resource::Identity))?;
    let new = NewKey {
        scope: ApiKeyScope::Identity,
        organization_id: Some(identity.organization_id),
        agent_identity_id: Some(identity.id),
        label: request.label,
        expires_at: request.expires_at,
    };
    let (key, secret) = issue::mint(&app.db, &*app.clock, new).await?;
    Ok(CreateApiKeyResponse { api_key: Some(key.into()), secret: secret.reveal().to_owned() })
}
