//! `GetMessage`.

use crate::app::App;
use crate::domain::{IdentityId, MessageId, Principal, View};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::convert::message_for;
use crate::grpc::wire::request::Violations;
use crate::proto::{GetMessageRequest, GetMessageResponse};
use crate::store;

struct Params {
    id: MessageId,
    asserted: Option<IdentityId>,
}

fn parse(request: &GetMessageRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let id = violations.id("message_id", &request.message_id);
    let asserted = violations.optional_id("agent_identity_id", request.agent_identity_id.as_deref());
    violations.finish(|| Some(Params { id: id?, asserted: asserted? }))
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    request: GetMessageRequest,
) -> Result<GetMessageResponse> {
    let params = parse(&request)?;
    let tenant = caller.require_tenant()?;
    // An asserted identity that is not the key's own reads as an absent message, as with every lookup by id.
    let identity_id =
        tenant.identity_scope(params.asserted).map_err(|_| Error::NotFound(Resource::Message))?;
    let view = View::of(tenant, None);
    let found = store::messages::get(&app.db, &tenant.organization_id, identity_id, view, params.id).await?;
    let message = found.ok_or(Error::NotFound(Resource::Message))?;
    Ok(GetMessageResponse { message: Some(message_for(tenant, message)) })
}
