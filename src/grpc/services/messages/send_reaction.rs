//! `SendReaction`.

use crate::app::App;
use crate::carriers::{Action, Tapback};
use crate::domain::{Direction, MAX_PARTS, MessageId, Principal, Reaction, ReactionType, View};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{SendReactionRequest, SendReactionResponse};
use crate::store;

struct Parsed {
    message_id: MessageId,
    reaction: ReactionType,
    part_index: i32,
}

fn parse(message: &SendReactionRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let message_id = fields.id("message_id", &message.message_id);
    let reaction = fields.required_enum("reaction", message.reaction, ReactionType::from_wire);
    if reaction == Some(ReactionType::Custom) {
        fields.add("reaction", "CUSTOM is inbound only; it cannot be sent");
    }
    let part_index = fields.part_index(message.part_index, MAX_PARTS);
    fields.finish(|| Some(Parsed { message_id: message_id?, reaction: reaction?, part_index: part_index? }))
}

pub(super) async fn send_reaction(
    app: &App,
    caller: &Principal,
    message: SendReactionRequest,
) -> Result<SendReactionResponse> {
    let request = parse(&message)?;
    let tenant = caller.tenant()?;
    let organization_id = &tenant.organization_id;
    let view = View::of(tenant, None);
    let on = store::reactions::target(&app.db, organization_id, tenant.identity_id, view, request.message_id)
        .await?
        .ok_or(Error::NotFound(Resource::Message))?;
    let lane = app.queues.enter(organization_id, on.conversation_id).await;
    let target =
        store::conversations::target(&app.db, organization_id, tenant.identity_id, on.conversation_id)
            .await?
            .ok_or(Error::NotFound(Resource::Conversation))?;
    target.eligibility.check_on(on.assignment_id)?;
    target.eligibility.check_send()?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    let tapback = Tapback {
        provider_message_id: on.provider_message_id.as_deref(),
        reaction: request.reaction,
        part_index: request.part_index,
    };
    if !carrier.supports(Action::Reaction(tapback)) {
        return Err(Error::NotSupportedByCarrier);
    }
    let (app_, organization_id) = (app.clone(), organization_id.clone());
    let reaction = app
        .run_to_completion(async move {
            let _lane = lane;
            let tapback = Tapback {
                provider_message_id: on.provider_message_id.as_deref(),
                reaction: request.reaction,
                part_index: request.part_index,
            };
            carrier.perform(&target.thread(&organization_id), Action::Reaction(tapback)).await?;
            let reaction = Reaction {
                id: app_.clock.new_id().into(),
                conversation_id: on.conversation_id,
                message_id: on.message_id,
                direction: Direction::Outbound,
                reaction: request.reaction,
                custom_emoji: None,
                part_index: request.part_index,
                created_at: app_.clock.now(),
            };
            let put = store::reactions::put(&app_.db, &organization_id, reaction).await?;
            // The message was deleted since it was looked up.
            Ok(put.ok_or(Error::NotFound(Resource::Message))?.live)
        })
        .await?;
    Ok(SendReactionResponse { reaction: Some(reaction.into()) })
}
