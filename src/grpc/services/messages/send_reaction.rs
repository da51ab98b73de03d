//! `SendReaction`.

use crate::app::App;
use crate::domain::{MAX_PARTS, MessageId, Principal, ReactionType};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging::reactions;
use crate::proto::{SendReactionRequest, SendReactionResponse};

struct Params {
    message_id: MessageId,
    reaction: ReactionType,
    part_index: i32,
}

fn parse(request: &SendReactionRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let message_id = violations.id("message_id", &request.message_id);
    let reaction = violations.required_enum("reaction", request.reaction, ReactionType::from_wire);
    if reaction == Some(ReactionType::Custom) {
        violations.add("reaction", "CUSTOM is inbound only; it cannot be sent");
    }
    let part_index = violations.part_index(request.part_index, MAX_PARTS);
    violations
        .finish(|| Some(Params { message_id: message_id?, reaction: reaction?, part_index: part_index? }))
}

pub(super) async fn send_reaction(
    app: &App,
    caller: &Principal,
    request: SendReactionRequest,
) -> Result<SendReactionResponse> {
    let Params { message_id, reaction, part_index } = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let reaction = reactions::send_reaction(app, tenant, message_id, reaction, part_index).await?;
    Ok(SendReactionResponse { reaction: Some(reaction.into()) })
}
