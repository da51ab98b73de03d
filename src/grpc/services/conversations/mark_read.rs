//! `MarkConversationRead`.

use crate::app::App;
use crate::domain::{ConversationId, MessageId, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging;
use crate::proto::{MarkConversationReadRequest, MarkConversationReadResponse};

struct Params {
    id: ConversationId,
    up_to: Option<MessageId>,
}

fn parse(request: &MarkConversationReadRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let id = violations.id("conversation_id", &request.conversation_id);
    let up_to = violations.optional_id("up_to_message_id", request.up_to_message_id.as_deref());
    violations.finish(|| Some(Params { id: id?, up_to: up_to? }))
}

pub(super) async fn mark_read(
    app: &App,
    caller: &Principal,
    request: MarkConversationReadRequest,
) -> Result<MarkConversationReadResponse> {
    let Params { id, up_to } = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let updated_count = messaging::mark_read(app, tenant, id, up_to).await?;
    Ok(MarkConversationReadResponse { conversation_id: request.conversation_id, updated_count })
}
