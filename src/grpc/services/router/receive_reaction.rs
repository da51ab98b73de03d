//! `ReceiveReaction`.

use crate::app::App;
use crate::domain::{PhoneNumber, Principal, ReactionType};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging::inbound::{self, InboundReaction, RawReaction, ReactionOutcome};
use crate::proto::{ReceiveOutcome, ReceiveReactionRequest, ReceiveReactionResponse};

fn parse(request: ReceiveReactionRequest) -> Result<(PhoneNumber, InboundReaction)> {
    let mut violations = Violations::default();
    let raw = RawReaction {
        line_number: request.line_number,
        remote_number: request.remote_number,
        target_provider_message_id: request.target_provider_message_id,
        reaction: violations.required_enum("reaction", request.reaction, ReactionType::from_wire),
        custom_emoji: request.custom_emoji,
        part_index: request.part_index,
        removed: request.removed,
        put_at: None,
    };
    let reaction = raw.validate(&mut violations);
    violations.finish(|| reaction)
}

pub(super) async fn receive_reaction(
    app: &App,
    caller: &Principal,
    request: ReceiveReactionRequest,
) -> Result<ReceiveReactionResponse> {
    let (line_number, reaction) = parse(request)?;
    caller.require_router()?;
    let outcome = inbound::receive_reaction(app, &line_number, reaction).await?;
    let mut response = ReceiveReactionResponse::default();
    match outcome {
        ReactionOutcome::Stored(id) => {
            response.set_outcome(ReceiveOutcome::Stored);
            response.reaction_id = Some(id.to_string());
        }
        ReactionOutcome::Duplicate(id) => {
            response.set_outcome(ReceiveOutcome::Duplicate);
            response.reaction_id = id.map(|id| id.to_string());
        }
        ReactionOutcome::Refused => response.set_outcome(ReceiveOutcome::Refused),
        ReactionOutcome::NotConnected => response.set_outcome(ReceiveOutcome::NotConnected),
        ReactionOutcome::IdentityDisabled => response.set_outcome(ReceiveOutcome::IdentityDisabled),
    }
    Ok(response)
}
