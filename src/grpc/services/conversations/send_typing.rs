//! `SendTypingIndicator`.

use crate::app::App;
use crate::carriers::Action;
use crate::domain::{ConversationId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{SendTypingIndicatorRequest, SendTypingIndicatorResponse};
use crate::store;

fn parse(message: &SendTypingIndicatorRequest) -> Result<ConversationId> {
    let mut fields = Violations::default();
    let id = fields.id("conversation_id", &message.conversation_id);
    fields.finish(|| id)
}

pub(super) async fn send_typing(
    app: &App,
    caller: &Principal,
    message: SendTypingIndicatorRequest,
) -> Result<SendTypingIndicatorResponse> {
    let id = parse(&message)?;
    let tenant = caller.tenant()?;
    // Entered before anything is looked up: what counts is when the call began.
    let _place = app.queues.enter(&tenant.organization_id, id).await;
    let target = store::conversations::target(&app.db, &tenant.organization_id, tenant.identity_id, id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.eligibility.check()?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    carrier.perform(&target.thread(&tenant.organization_id), Action::Typing).await?;
    Ok(SendTypingIndicatorResponse {})
}
