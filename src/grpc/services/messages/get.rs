//! `GetMessage`.

use crate::app::App;
use crate::domain::{IdentityId, MessageId, Principal, View};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{GetMessageRequest, GetMessageResponse};
use crate::store;

struct Parsed {
    id: MessageId,
    asserted: Option<IdentityId>,
}

fn parse(message: &GetMessageRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let id = fields.id("message_id", &message.message_id);
    let asserted = fields.optional_id("agent_identity_id", message.agent_identity_id.as_deref());
    fields.finish(|| Some(Parsed { id: id?, asserted: asserted? }))
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    message: GetMessageRequest,
) -> Result<GetMessageResponse> {
    let request = parse(&message)?;
    let tenant = caller.tenant()?;
    if let (Some(own), Some(asserted)) = (tenant.identity_id, request.asserted)
        && own != asserted
    {
        return Err(Error::NotFound(Resource::Message));
    }
    let mine = tenant.identity_id.or(request.asserted);
    let view = View::of(tenant, None);
    let found = store::messages::get(&app.db, &tenant.organization_id, mine, view, request.id).await?;
    let message = found.ok_or(Error::NotFound(Resource::Message))?;
    Ok(GetMessageResponse { message: Some(message.into()) })
}
