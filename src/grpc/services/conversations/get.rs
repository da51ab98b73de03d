//! `GetConversation`.

use crate::app::App;
use crate::domain::{ConversationId, IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{GetConversationRequest, GetConversationResponse};
use crate::store;

struct Params {
    id: ConversationId,
    asserted: Option<IdentityId>,
}

fn parse(request: &GetConversationRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let id = violations.id("conversation_id", &request.conversation_id);
    let asserted = violations.optional_id("agent_identity_id", request.agent_identity_id.as_deref());
    violations.finish(|| Some(Params { id: id?, asserted: asserted? }))
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    request: GetConversationRequest,
) -> Result<GetConversationResponse> {
    let params = parse(&request)?;
    let tenant = caller.require_tenant()?;
    // An asserted identity that is not the key's own reads as an absent conversation, as with every lookup by id.
    let identity_id =
        tenant.identity_scope(params.asserted).map_err(|_| Error::NotFound(Resource::Conversation))?;
    let found = store::conversations::get(&app.db, &tenant.organization_id, identity_id, params.id).await?;
    let conversation = found.ok_or(Error::NotFound(Resource::Conversation))?;
    Ok(GetConversationResponse { conversation: Some(conversation.into()) })
}
