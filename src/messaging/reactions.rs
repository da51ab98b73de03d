//! Tapbacks that an agent puts on messages, or removes.

use crate::app::App;
use crate::carriers::{Action, Tapback};
use crate::domain::{Direction, MessageId, Reaction, ReactionId, ReactionType, Tenant, View};
use crate::error::{Error, Resource, Result};
use crate::store::{conversations, reactions};

/// Puts a tapback on a part of a message and returns it. It replaces the agent's earlier tapback on that part. Once the
/// carrier has been called, the outcome is recorded even if the caller disconnects.
///
/// # Errors
/// `NotFound`, `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased` (also if the message was on an earlier
/// connection), `RecipientOptedOut`, `RecipientHasNotMessaged`, `NotSupportedByCarrier`, `Overloaded`, `RateLimited`,
/// `UpstreamFailed`.
pub async fn send_reaction(
    app: &App,
    tenant: &Tenant,
    message_id: MessageId,
    reaction: ReactionType,
    part_index: i32,
) -> Result<Reaction> {
    let (organization_id, identity_id) = (&tenant.organization_id, tenant.identity_id);
    let view = View::of(tenant, None);
    let message = reactions::target(&app.db, organization_id, identity_id, view, message_id)
        .await?
        .ok_or(Error::NotFound(Resource::Message))?;
    app.admission.begin_carrier_call()?;
    let turn = app.queues.enter(organization_id, message.conversation_id).await?;
    let target = conversations::target(&app.db, organization_id, identity_id, message.conversation_id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.check_on(message.assignment_id)?;
    target.check_send()?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    let provider_message_id = message.provider_message_id;
    if !carrier.supports(Action::Reaction(tapback(provider_message_id.as_deref(), reaction, part_index))) {
        return Err(Error::NotSupportedByCarrier);
    }
    app.actions.count(target.identity_id)?;
    let (db, clock, organization_id) = (app.db.clone(), app.clock.clone(), organization_id.clone());
    app.run_to_completion(async move {
        let _turn = turn;
        let action = Action::Reaction(tapback(provider_message_id.as_deref(), reaction, part_index));
        carrier.perform(&target.thread(&organization_id), action).await?;
        let now = clock.now();
        let reaction = Reaction {
            id: clock.new_id().into(),
            conversation_id: message.conversation_id,
            message_id,
            remote_number: target.remote_number,
            direction: Direction::Outbound,
            reaction,
            custom_emoji: None,
            part_index,
            created_at: now,
            updated_at: now,
        };
        // The message may have been deleted since it was looked up.
        let change = reactions::put(&db, &organization_id, reaction).await?;
        Ok(change.ok_or(Error::NotFound(Resource::Message))?.live)
    })
    .await
}

/// Removes a tapback of the agent's. Succeeds if it is removed already. Once the carrier has been called, the outcome is
/// recorded even if the caller disconnects.
///
/// # Errors
/// `NotFound`, `ScopeInsufficient` for the human's tapback, `IdentityNotEnabled`, `RecipientBlocked`,
/// `ConnectionReleased`, `RecipientOptedOut`, `NotSupportedByCarrier`, `Overloaded`, `RateLimited`, `UpstreamFailed`.
pub async fn remove_reaction(app: &App, tenant: &Tenant, id: ReactionId) -> Result<()> {
    let (organization_id, identity_id) = (&tenant.organization_id, tenant.identity_id);
    let view = View::of(tenant, None);
    let find = || reactions::find(&app.db, organization_id, identity_id, view, id);
    let found = find().await?.ok_or(Error::NotFound(Resource::Reaction))?;
    if found.reaction.direction == Direction::Inbound {
        return Err(Error::ScopeInsufficient(
            "a reaction that the agent sent; only the human can remove their own",
        ));
    }
    let conversation_id = found.reaction.conversation_id;
    app.admission.begin_carrier_call()?;
    let turn = app.queues.enter(organization_id, conversation_id).await?;
    // Read again after the wait in the queue: another call may have removed the tapback.
    let found = find().await?.ok_or(Error::NotFound(Resource::Reaction))?;
    if found.removed {
        return Ok(());
    }
    let target = conversations::target(&app.db, organization_id, identity_id, conversation_id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.check_on(found.assignment_id)?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    let (reaction, part_index) = (found.reaction.reaction, found.reaction.part_index);
    let provider_message_id = found.provider_message_id;
    let removal = Action::ReactionRemoval(tapback(provider_message_id.as_deref(), reaction, part_index));
    if !carrier.supports(removal) {
        return Err(Error::NotSupportedByCarrier);
    }
    app.actions.count(target.identity_id)?;
    let (db, clock, organization_id) = (app.db.clone(), app.clock.clone(), organization_id.clone());
    app.run_to_completion(async move {
        let _turn = turn;
        let removal = Action::ReactionRemoval(tapback(provider_message_id.as_deref(), reaction, part_index));
        carrier.perform(&target.thread(&organization_id), removal).await?;
        Ok(reactions::remove(&db, &organization_id, id, clock.now()).await?)
    })
    .await
}

const fn tapback(provider_message_id: Option<&str>, reaction: ReactionType, part_index: i32) -> Tapback<'_> {
    Tapback { provider_message_id, reaction, part_index }
}
