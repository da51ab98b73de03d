//! Tapbacks that humans put on messages, or take back.

use crate::app::App;
use crate::domain::{Direction, LineRole, PhoneNumber, Reaction, ReactionId, ReactionType};
use crate::error::{Error, Resource, Result};
use crate::store::inbound;
use crate::store::reactions;

/// A tapback that a line delivered.
#[derive(Debug, Clone)]
pub struct InboundReaction {
    /// The human.
    pub remote_number: PhoneNumber,
    /// The carrier's id of the message it is on.
    pub target_provider_message_id: String,
    /// What it says.
    pub reaction: ReactionType,
    /// The emoji of a custom one.
    pub custom_emoji: Option<String>,
    /// Which part of the message.
    pub part_index: i32,
    /// Whether it is taken back.
    pub removed: bool,
}

/// What became of a tapback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReactionOutcome {
    /// It is recorded, or its end is.
    Stored(ReactionId),
    /// It was so before.
    Duplicate(Option<ReactionId>),
    /// The human is blocked: nothing was recorded.
    Refused,
    /// The human has no active connection here: nothing was recorded.
    NotConnected,
    /// The identity's iMessage is off: nothing was recorded.
    IdentityDisabled,
}

/// Takes a tapback in. When this returns, what it says is committed.
///
/// # Errors
/// `NotFound` when the line is not ours, or knows no such message between the two.
pub async fn receive_reaction(
    app: &App,
    line_number: &PhoneNumber,
    reaction: InboundReaction,
) -> Result<ReactionOutcome> {
    let on = &reaction.target_provider_message_id;
    let route = inbound::route(&app.db, line_number, &reaction.remote_number, on)
        .await?
        .ok_or(Error::NotFound(Resource::Line))?;
    let to = match (route.role, route.to) {
        (LineRole::Pool, Some(to)) => to,
        (LineRole::Pool, None) | (LineRole::Router, _) => return Ok(ReactionOutcome::NotConnected),
    };
    let situation = inbound::delivery_context(
        &app.db,
        &to,
        &reaction.remote_number,
        line_number,
        &reaction.target_provider_message_id,
    )
    .await?;
    if !situation.imessage_enabled {
        return Ok(ReactionOutcome::IdentityDisabled);
    }
    if situation.verdict.is_blocked() {
        return Ok(ReactionOutcome::Refused);
    }
    // What the carrier speaks of must be a message between these two.
    let on = situation
        .delivered
        .filter(|message| Some(message.conversation_id) == situation.conversation_id)
        .ok_or(Error::NotFound(Resource::Message))?;
    let now = app.clock.now();
    if reaction.removed {
        let removed =
            reactions::take_back(&app.db, &to.organization_id, on.message_id, reaction.part_index, now)
                .await?;
        return Ok(removed.map_or(ReactionOutcome::Duplicate(None), ReactionOutcome::Stored));
    }
    let new = Reaction {
        id: app.clock.new_id().into(),
        conversation_id: on.conversation_id,
        message_id: on.message_id,
        direction: Direction::Inbound,
        reaction: reaction.reaction,
        custom_emoji: reaction.custom_emoji,
        part_index: reaction.part_index,
        created_at: now,
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
