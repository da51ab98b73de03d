//! `UpdateIdentity`.

use super::MAX_DESCRIPTION_CHARACTERS;
use crate::app::App;
use crate::domain::{FilterMode, IdentityId, MAX_DISPLAY_NAME_CHARACTERS, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::messaging::settle;
use crate::proto::{UpdateIdentityRequest, UpdateIdentityResponse};
use crate::store;
use crate::store::connections::SendsOf;
use crate::store::identities::IdentityChange;

fn parse(request: UpdateIdentityRequest) -> Result<(IdentityId, IdentityChange)> {
    let mut violations = Violations::default();
    let id = violations.id("identity_id", &request.identity_id);
    let display_name = match request.display_name {
        None => Some(None),
        Some(name) => violations.text("display_name", name, MAX_DISPLAY_NAME_CHARACTERS).map(Some),
    };
    let description = match request.description {
        None => Some(None),
        Some(text) => violations.text("description", text, MAX_DESCRIPTION_CHARACTERS).map(Some),
    };
    let filter_mode = violations.optional_enum(
        "filter_mode",
        request.filter_mode,
        |number| FilterMode::from_wire(number).map(Some),
        None,
    );
    violations.finish(|| {
        let change = IdentityChange {
            display_name: display_name?,
            description: description?,
            imessage_enabled: request.imessage_enabled,
            filter_mode: filter_mode?,
        };
        Some((id?, change))
    })
}

pub(super) async fn update(
    app: &App,
    caller: &Principal,
    request: UpdateIdentityRequest,
) -> Result<UpdateIdentityResponse> {
    let (id, change) = parse(request)?;
    let tenant = caller.require_admin()?;
    let db = app.db.acting(tenant.actor());
    let updated =
        store::identities::update(&db, &tenant.organization_id, id, &change, app.clock.now()).await?;
    let identity = updated.ok_or(Error::NotFound(Resource::Identity))?;
    if change.imessage_enabled.is_some() || change.filter_mode.is_some() {
        settle(app, &tenant.organization_id, SendsOf::Identity(id)).await?;
    }
    Ok(UpdateIdentityResponse { identity: Some(identity.into()) })
}
