//! `RemoveReaction`.

use crate::app::App;
use crate::domain::{Principal, ReactionId};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging::reactions;
use crate::proto::{RemoveReactionRequest, RemoveReactionResponse};

fn parse(request: &RemoveReactionRequest) -> Result<ReactionId> {
    let mut violations = Violations::default();
    let id = violations.id("reaction_id", &request.reaction_id);
    violations.finish(|| id)
}

pub(super) async fn remove_reaction(
    app: &App,
    caller: &Principal,
    request: RemoveReactionRequest,
) -> Result<RemoveReactionResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_tenant()?;
    reactions::remove_reaction(app, tenant, id).await?;
    Ok(RemoveReactionResponse {})
}
