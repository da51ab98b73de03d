//! `CreateIdentity`.

use super::MAX_DESCRIPTION_CHARACTERS;
use crate::app::App;
use crate::domain::{FilterMode, Handle, MAX_DISPLAY_NAME_CHARACTERS, Principal};
use crate::error::{Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{CreateIdentityRequest, CreateIdentityResponse};
use crate::store;
use crate::store::identities::NewIdentity;

struct Params {
    handle: Handle,
    display_name: String,
    description: Option<String>,
    filter_mode: FilterMode,
}

fn parse(request: CreateIdentityRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let handle = match Handle::parse(&request.agent_handle) {
        Ok(handle) => Some(handle),
        Err(error) => {
            violations.add("agent_handle", error.to_string());
            None
        }
    };
    let display_name = violations.text(
        "display_name",
        request.display_name.unwrap_or_default(),
        MAX_DISPLAY_NAME_CHARACTERS,
    );
    let description =
        violations.text("description", request.description.unwrap_or_default(), MAX_DESCRIPTION_CHARACTERS);
    let filter_mode = violations.optional_enum(
        "filter_mode",
        request.filter_mode,
        FilterMode::from_wire,
        FilterMode::Blacklist,
    );
    violations.finish(|| {
        Some(Params {
            handle: handle?,
            display_name: display_name?,
            description: description.map(|text| Some(text).filter(|text| !text.is_empty()))?,
            filter_mode: filter_mode?,
        })
    })
}

pub(super) async fn create(
    app: &App,
    caller: &Principal,
    request: CreateIdentityRequest,
) -> Result<CreateIdentityResponse> {
    let imessage_enabled = request.imessage_enabled;
    let params = parse(request)?;
    let tenant = caller.require_admin()?;
    let new = NewIdentity {
        id: app.clock.new_id().into(),
        organization_id: tenant.organization_id.clone(),
        handle: params.handle,
        display_name: params.display_name,
        description: params.description,
        imessage_enabled,
        filter_mode: params.filter_mode,
    };
    let created = store::identities::create(&app.db.acting(tenant.actor()), new, app.clock.now()).await?;
    let identity = created.or_already_exists(Resource::Identity)?;
    Ok(CreateIdentityResponse { identity: Some(identity.into()) })
}
