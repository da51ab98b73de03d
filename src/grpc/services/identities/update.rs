//! `UpdateIdentity`.

use super::DISPLAY_NAME_LIMIT;
use crate::app::App;
use crate::domain::{FilterMode, IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{UpdateIdentityRequest, UpdateIdentityResponse};
use crate::store;
use crate::store::identities::IdentityChange;

fn parse(message: UpdateIdentityRequest) -> Result<(IdentityId, IdentityChange)> {
    let mut fields = Violations::default();
    let id = fields.id("identity_id", &message.identity_id);
    let display_name = match message.display_name {
        None => Some(None),
        Some(name) => fields.text("display_name", name, DISPLAY_NAME_LIMIT).map(Some),
    };
    let filter_mode = fields.optional_enum(
        "filter_mode",
        message.filter_mode,
        |number| FilterMode::from_wire(number).map(Some),
        None,
    );
    fields.finish(|| {
        let change = IdentityChange {
            display_name: display_name?,
            imessage_enabled: message.imessage_enabled,
            filter_mode: filter_mode?,
        };
        Some((id?, change))
    })
}

pub(super) async fn update(
    app: &App,
    caller: &Principal,
    message: UpdateIdentityRequest,
) -> Result<UpdateIdentityResponse> {
    let (id, change) = parse(message)?;
    let tenant = caller.admin()?;
    let updated =
        store::identities::update(&app.db, &tenant.organization_id, id, &change, app.clock.now()).await?;
    let identity = updated.ok_or(Error::NotFound(Resource::Identity))?;
    Ok(UpdateIdentityResponse { identity: Some(identity.into()) })
}
