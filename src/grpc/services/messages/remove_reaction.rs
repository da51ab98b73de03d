//! `RemoveReaction`.

use crate::app::App;
use crate::domain::{Principal, ReactionId};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging::reactions;
use crate::proto::{RemoveReactionRequest, RemoveReactionResponse};

fn parse(request: &RemoveReactionRequest) -> Result<ReactionId> {
    let mut fields = Violations::default();
    let id = fields.id("reaction_id", &request.reaction_id);
    fields.finish(|| id)
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
