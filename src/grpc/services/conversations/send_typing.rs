//! `SendTypingIndicator`.

use std::time::Duration;

use crate::app::App;
use crate::domain::{ConversationId, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging;
use crate::proto::{SendTypingIndicatorRequest, SendTypingIndicatorResponse};

/// Maximum of `duration_seconds`: longer than agents think about an answer.
const MAX_DURATION_SECONDS: u64 = 600;

struct Params {
    id: ConversationId,
    duration: Option<Duration>,
}

fn parse(request: &SendTypingIndicatorRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let id = violations.id("conversation_id", &request.conversation_id);
    let duration = match request.duration_seconds.map(u64::try_from) {
        None => Some(None),
        Some(Ok(seconds @ 1..=MAX_DURATION_SECONDS)) => Some(Some(Duration::from_secs(seconds))),
        Some(_) => {
            violations.add("duration_seconds", format!("must be 1 to {MAX_DURATION_SECONDS}"));
            None
        }
    };
    violations.finish(|| Some(Params { id: id?, duration: duration? }))
}

pub(super) async fn send_typing(
    app: &App,
    caller: &Principal,
    request: SendTypingIndicatorRequest,
) -> Result<SendTypingIndicatorResponse> {
    let Params { id, duration } = parse(&request)?;
    let tenant = caller.require_tenant()?;
    messaging::send_typing(app, tenant, id, duration).await?;
    Ok(SendTypingIndicatorResponse {})
}
