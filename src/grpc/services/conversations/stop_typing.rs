//! `StopTypingIndicator`.

use crate::app::App;
use crate::domain::{ConversationId, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging;
use crate::proto::{StopTypingIndicatorRequest, StopTypingIndicatorResponse};

fn parse(request: &StopTypingIndicatorRequest) -> Result<ConversationId> {
    let mut violations = Violations::default();
    let id = violations.id("conversation_id", &request.conversation_id);
    violations.finish(|| id)
}

pub(super) async fn stop_typing(
    app: &App,
    caller: &Principal,
    request: StopTypingIndicatorRequest,
) -> Result<StopTypingIndicatorResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_tenant()?;
    messaging::stop_typing(app, tenant, id).await?;
    Ok(StopTypingIndicatorResponse {})
}
