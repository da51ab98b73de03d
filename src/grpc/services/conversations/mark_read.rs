//! `MarkConversationRead`.

use crate::app::App;
use crate::domain::{ConversationId, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging;
use crate::proto::{MarkConversationReadRequest, MarkConversationReadResponse};

fn parse(request: &MarkConversationReadRequest) -> Result<ConversationId> {
    let mut violations = Violations::default();
    let id = violations.id("conversation_id", &request.conversation_id);
    violations.finish(|| id)
}

pub(super) async fn mark_read(
    app: &App,
    caller: &Principal,
    request: MarkConversationReadRequest,
) -> Result<MarkConversationReadResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let updated_count = messaging::mark_read(app, tenant, id).await?;
    Ok(MarkConversationReadResponse { conversation_id: request.conversation_id, updated_count })
}
