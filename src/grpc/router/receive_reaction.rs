//! `ReceiveReaction`.

use super::{EMOJI_LIMIT, MOST_PARTS, PROVIDER_ID_LIMIT};
use crate::app::App;
use crate::domain::{PhoneNumber, Principal, ReactionType};
use crate::error::Result;
use crate::grpc::caller::Caller as _;
use crate::grpc::request::Fields;
use crate::ingest::{self, InboundReaction, ReactionOutcome};
use crate::proto::{ReceiveOutcome, ReceiveReactionRequest, ReceiveReactionResponse};

struct Parsed {
    line_number: PhoneNumber,
    reaction: InboundReaction,
}

fn parse(message: ReceiveReactionRequest) -> Result<Parsed> {
    let mut fields = Fields::default();
    let line_number = fields.phone_number("line_number", &message.line_number);
    let remote_number = fields.phone_number("remote_number", &message.remote_number);
    let target = fields.required_text(
        "target_provider_message_id",
        message.target_provider_message_id,
        PROVIDER_ID_LIMIT,
    );
    let reaction = fields.required_enum("reaction", message.reaction, ReactionType::from_wire);
    let custom_emoji = match message.custom_emoji {
        None => Some(None),
        Some(emoji) => fields.required_text("custom_emoji", emoji, EMOJI_LIMIT).map(Some),
    };
    if let (Some(reaction), Some(emoji)) = (reaction, &custom_emoji)
        && (reaction == ReactionType::Custom) != emoji.is_some()
    {
        fields.refuse("custom_emoji", "belongs to a CUSTOM reaction, and only to one");
    }
    let part_index = fields.part_index(message.part_index, MOST_PARTS);
    fields.finish(|| {
        Some(Parsed {
            line_number: line_number?,
            reaction: InboundReaction {
                remote_number: remote_number?,
                target_provider_message_id: target?,
                reaction: reaction?,
                custom_emoji: custom_emoji?,
                part_index: part_index?,
                removed: message.removed,
            },
        })
    })
}

pub(super) async fn receive_reaction(
    app: &App,
    caller: &Principal,
    message: ReceiveReactionRequest,
) -> Result<ReceiveReactionResponse> {
    let request = parse(message)?;
    caller.router()?;
    let outcome = ingest::receive_reaction(app, &request.line_number, request.reaction).await?;
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
