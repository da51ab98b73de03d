//! `GetConversation`.

use crate::app::App;
use crate::domain::{ConversationId, IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{GetConversationRequest, GetConversationResponse};
use crate::store;

struct Parsed {
    id: ConversationId,
    asserted: Option<IdentityId>,
}

fn parse(message: &GetConversationRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let id = fields.id("conversation_id", &message.conversation_id);
    let asserted = fields.optional_id("agent_identity_id", message.agent_identity_id.as_deref());
    fields.finish(|| Some(Parsed { id: id?, asserted: asserted? }))
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    message: GetConversationRequest,
) -> Result<GetConversationResponse> {
    let request = parse(&message)?;
    let tenant = caller.tenant()?;
    let mine = tenant.identity_id.or(request.asserted);
    let found = store::conversations::get(&app.db, &tenant.organization_id, mine, request.id).await?;
    let conversation = found
        .filter(|found| request.asserted.is_none_or(|asserted| found.agent_identity_id == asserted))
        .ok_or(Error::NotFound(Resource::Conversation))?;
    Ok(GetConversationResponse { conversation: Some(conversation.into()) })
}
