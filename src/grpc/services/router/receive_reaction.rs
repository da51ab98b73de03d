//! `ReceiveReaction`.

use crate::app::App;
use crate::domain::{PhoneNumber, Principal, ReactionType};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::messaging::inbound::{self, InboundReaction, RawReaction, ReactionOutcome};
use crate::proto::{ReceiveOutcome, ReceiveReactionRequest, ReceiveReactionResponse};

fn parse(message: ReceiveReactionRequest) -> Result<(PhoneNumber, InboundReaction)> {
    let mut fields = Violations::default();
    let given = RawReaction {
        line_number: message.line_number,
        remote_number: message.remote_number,
        target_provider_message_id: message.target_provider_message_id,
        reaction: fields.required_enum("reaction", message.reaction, ReactionType::from_wire),
        custom_emoji: message.custom_emoji,
        part_index: message.part_index,
        removed: message.removed,
    };
    let reaction = given.check(&mut fields);
    fields.finish(|| reaction)
}

pub(super) async fn receive_reaction(
    app: &App,
    caller: &Principal,
    message: ReceiveReactionRequest,
) -> Result<ReceiveReactionResponse> {
    let (line_number, reaction) = parse(message)?;
    caller.router()?;
    let outcome = inbound::receive_reaction(app, &line_number, reaction).await?;
    let mut answer = ReceiveReactionResponse::default();
    match outcome {
        ReactionOutcome::Stored(id) => {
            answer.set_outcome(ReceiveOutcome::Stored);
            answer.reaction_id = Some(id.to_string());
        }
        ReactionOutcome::Duplicate(id) => {
            answer.set_outcome(ReceiveOutcome::Duplicate);
            answer.reaction_id = id.map(|id| id.to_string());
        }
        ReactionOutcome::Refused => answer.set_outcome(ReceiveOutcome::Refused),
        ReactionOutcome::NotConnected => answer.set_outcome(ReceiveOutcome::NotConnected),
        ReactionOutcome::IdentityDisabled => answer.set_outcome(ReceiveOutcome::IdentityDisabled),
    }
    Ok(answer)
}
