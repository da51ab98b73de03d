//! Tapbacks that humans put on messages, or remove.

use chrono::{DateTime, Utc};

use super::find_route;
use crate::app::App;
use crate::domain::{Direction, LineRole, PhoneNumber, Reaction, ReactionId, ReactionType};
use crate::error::{Error, Resource, Result};
use crate::store::inbound;
use crate::store::reactions::{self, InboundRemoval};

#[derive(Debug, Clone)]
pub struct InboundReaction {
    /// The human's number.
    pub remote_number: PhoneNumber,
    /// The carrier's id of the message that the tapback is on.
    pub target_provider_message_id: String,
    pub reaction: ReactionType,
    /// Set for custom reactions only.
    pub custom_emoji: Option<String>,
    pub part_index: i32,
    /// Whether the tapback is removed.
    pub removed: bool,
    /// When the human did it, if it is received out of order: a change that was received later stands.
    pub put_at: Option<DateTime<Utc>>,
}

/// The result of receiving a tapback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReactionOutcome {
    /// The tapback, or its removal, was stored.
    Stored(ReactionId),
    /// Nothing had to be changed.
    Duplicate(Option<ReactionId>),
    /// The human is blocked. Nothing was stored.
    Refused,
    /// The human has no active connection on this line. Nothing was stored.
    NotConnected,
    /// iMessage is disabled for the identity. Nothing was stored.
    IdentityDisabled,
}

/// Stores a tapback or its removal. The result is committed.
///
/// # Errors
/// `NotFound` when there is no line with this number, or no such message between human and agent.
pub async fn receive_reaction(
    app: &App,
    line_number: &PhoneNumber,
    reaction: InboundReaction,
) -> Result<ReactionOutcome> {
    let on = &reaction.target_provider_message_id;
    let (route, remote_number) = find_route(app, line_number, &reaction.remote_number, on).await?;
    let to = match (route.role, route.to) {
        (LineRole::Pool, Some(to)) => to,
        (LineRole::Pool, None) | (LineRole::Router, _) => return Ok(ReactionOutcome::NotConnected),
    };
    let context = inbound::delivery_context(
        &app.db,
        &to,
        &remote_number,
        line_number,
        &reaction.target_provider_message_id,
    )
    .await?;
    if !context.imessage_enabled {
        return Ok(ReactionOutcome::IdentityDisabled);
    }
    if context.verdict.is_blocked() {
        return Ok(ReactionOutcome::Refused);
    }
    // The message must be one between these two.
    let on = context
        .delivered
        .filter(|message| Some(message.conversation_id) == context.conversation_id)
        .ok_or(Error::NotFound(Resource::Message))?;
    if let Some(since) = reaction.put_at
        && reactions::changed_since(&app.db, &to.organization_id, on.message_id, reaction.part_index, since)
            .await?
    {
        return Ok(ReactionOutcome::Duplicate(None));
    }
    let now = app.clock.now();
    if reaction.removed {
        let removal = InboundRemoval {
            message_id: on.message_id,
            reaction: reaction.reaction,
            custom_emoji: reaction.custom_emoji,
            part_index: reaction.part_index,
            now,
        };
        let removed = reactions::take_back(&app.db, &to.organization_id, removal).await?;
        return Ok(removed.map_or(ReactionOutcome::Duplicate(None), ReactionOutcome::Stored));
    }
    let new = Reaction {
        id: app.clock.new_id().into(),
        conversation_id: on.conversation_id,
        message_id: on.message_id,
        remote_number,
        direction: Direction::Inbound,
        reaction: reaction.reaction,
        custom_emoji: reaction.custom_emoji,
        part_index: reaction.part_index,
        created_at: now,
        updated_at: now,
    };
    let put = reactions::put(&app.db, &to.organization_id, new)
        .await?
        // The message was deleted since the context was read.
        .ok_or(Error::NotFound(Resource::Message))?;
    Ok(if put.changed {
        ReactionOutcome::Stored(put.live.id)
    } else {
        ReactionOutcome::Duplicate(Some(put.live.id))
    })
}
