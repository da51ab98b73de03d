//! `RemoveReaction`.

use crate::app::App;
use crate::carriers::{Action, Tapback};
use crate::domain::{Direction, Principal, ReactionId, View};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{RemoveReactionRequest, RemoveReactionResponse};
use crate::store;

fn parse(message: &RemoveReactionRequest) -> Result<ReactionId> {
    let mut fields = Violations::default();
    let id = fields.id("reaction_id", &message.reaction_id);
    fields.finish(|| id)
}

pub(super) async fn remove_reaction(
    app: &App,
    caller: &Principal,
    message: RemoveReactionRequest,
) -> Result<RemoveReactionResponse> {
    let id = parse(&message)?;
    let tenant = caller.tenant()?;
    let (organization_id, identity_id) = (&tenant.organization_id, tenant.identity_id);
    let view = View::of(tenant, None);
    let find = || store::reactions::find(&app.db, organization_id, identity_id, view, id);
    let found = find().await?.ok_or(Error::NotFound(Resource::Reaction))?;
    if found.reaction.direction == Direction::Inbound {
        return Err(Error::ScopeInsufficient(
            "a reaction that the agent sent; only the human can remove their own",
        ));
    }
    let conversation_id = found.reaction.conversation_id;
    let lane = app.queues.enter(organization_id, conversation_id).await;
    // Again, now that it is our turn: another removal may have been before us.
    let found = find().await?.ok_or(Error::NotFound(Resource::Reaction))?;
    if found.removed {
        return Ok(RemoveReactionResponse {});
    }
    let target = store::conversations::target(&app.db, organization_id, identity_id, conversation_id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.eligibility.check_on(found.assignment_id)?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    let tapback = Tapback {
        provider_message_id: found.provider_message_id.as_deref(),
        reaction: found.reaction.reaction,
        part_index: found.reaction.part_index,
    };
    if !carrier.supports(Action::ReactionRemoval(tapback)) {
        return Err(Error::NotSupportedByCarrier);
    }
    let (app_, organization_id) = (app.clone(), organization_id.clone());
    app.run_to_completion(async move {
        let _lane = lane;
        let tapback = Tapback {
            provider_message_id: found.provider_message_id.as_deref(),
            reaction: found.reaction.reaction,
            part_index: found.reaction.part_index,
        };
        carrier.perform(&target.thread(&organization_id), Action::ReactionRemoval(tapback)).await?;
        Ok(store::reactions::remove(&app_.db, &organization_id, id, app_.clock.now()).await?)
    })
    .await?;
    Ok(RemoveReactionResponse {})
}
