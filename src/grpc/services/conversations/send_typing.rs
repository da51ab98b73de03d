//! `SendTypingIndicator`.

use crate::app::App;
use crate::domain::{ConversationId, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging;
use crate::proto::{SendTypingIndicatorRequest, SendTypingIndicatorResponse};

fn parse(request: &SendTypingIndicatorRequest) -> Result<ConversationId> {
    let mut violations = Violations::default();
    let id = violations.id("conversation_id", &request.conversation_id);
    violations.finish(|| id)
}

pub(super) async fn send_typing(
    app: &App,
    caller: &Principal,
    request: SendTypingIndicatorRequest,
) -> Result<SendTypingIndicatorResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_tenant()?;
    messaging::send_typing(app, tenant, id).await?;
    Ok(SendTypingIndicatorResponse {})
}
