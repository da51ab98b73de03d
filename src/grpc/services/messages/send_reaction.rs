//! `SendReaction`.

use super::MOST_PARTS;
use crate::app::App;
use crate::domain::{MessageId, Principal, ReactionType};
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
    let mut fields = Violations::default();
    let message_id = fields.id("message_id", &request.message_id);
    let reaction = fields.required_enum("reaction", request.reaction, ReactionType::from_wire);
    if reaction == Some(ReactionType::Custom) {
        fields.add("reaction", "CUSTOM is inbound only: no carrier sends it");
    }
    let part_index = fields.part_index(request.part_index, MOST_PARTS);
    fields.finish(|| Some(Params { message_id: message_id?, reaction: reaction?, part_index: part_index? }))
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
