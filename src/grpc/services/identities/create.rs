//! `CreateIdentity`.

use super::DISPLAY_NAME_LIMIT;
use crate::app::App;
use crate::domain::{FilterMode, Handle, Principal};
use crate::error::{Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{CreateIdentityRequest, CreateIdentityResponse};
use crate::store;
use crate::store::identities::NewIdentity;

struct Parsed {
    handle: Handle,
    display_name: String,
    filter_mode: FilterMode,
}

fn parse(message: CreateIdentityRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let handle = match Handle::parse(&message.agent_handle) {
        Ok(handle) => Some(handle),
        Err(error) => {
            fields.add("agent_handle", error.to_string());
            None
        }
    };
    let display_name =
        fields.text("display_name", message.display_name.unwrap_or_default(), DISPLAY_NAME_LIMIT);
    let filter_mode = fields.optional_enum(
        "filter_mode",
        message.filter_mode,
        FilterMode::from_wire,
        FilterMode::Blacklist,
    );
    fields.finish(|| Some(Parsed { handle: handle?, display_name: display_name?, filter_mode: filter_mode? }))
}

pub(super) async fn create(
    app: &App,
    caller: &Principal,
    message: CreateIdentityRequest,
) -> Result<CreateIdentityResponse> {
    let imessage_enabled = message.imessage_enabled;
    let request = parse(message)?;
    let tenant = caller.admin()?;
    let new = NewIdentity {
        id: app.clock.new_id().into(),
        organization_id: tenant.organization_id.clone(),
        handle: request.handle,
        display_name: request.display_name,
        imessage_enabled,
        filter_mode: request.filter_mode,
    };
    let created = store::identities::create(&app.db, new, app.clock.now()).await?;
    let identity = created.or_already_exists(Resource::Identity)?;
    Ok(CreateIdentityResponse { identity: Some(identity.into()) })
}
