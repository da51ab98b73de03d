//! Tapbacks that a carrier delivers as text, such as `Loved "see you at eight"`.

use super::{ReactionOutcome, pool_line};
use crate::app::App;
use crate::domain::{LineRole, ReactionType};
use crate::error::{Error, Resource, Result};
use crate::store::inbound::{self, InboundText};
use crate::store::tapback_texts::{self, NewTapbackText, Quoted, TapbackOutcome};

/// What the words of a text say, where they are those of a tapback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapbackWords {
    /// What the tapback says.
    pub reaction: ReactionType,
    /// The emoji of a custom one.
    pub custom_emoji: Option<String>,
    /// Whether it is taken back.
    pub removed: bool,
    /// What it is on.
    pub quoted: Quoted,
}

/// Takes a text that reads like a tapback as one. `None` when it is to be received as a text after all, so that
/// nothing is lost: no message reads as it quotes, it was stored as a text before, or there is no agent to take it.
/// When this returns, what it says is committed.
///
/// # Errors
/// `NotFound` when the line is not ours.
pub async fn receive_tapback_text(
    app: &App,
    text: &InboundText,
    words: TapbackWords,
) -> Result<Option<ReactionOutcome>> {
    if tapback_texts::was_delivered(&app.db, &text.line_number, &text.provider_message_id).await? {
        return Ok(Some(ReactionOutcome::Duplicate(None)));
    }
    let route = inbound::route(&app.db, &text.line_number, &text.remote_number, &text.provider_message_id)
        .await?
        .ok_or(Error::NotFound(Resource::Line))?;
    // On an answer of the router line, which is in no conversation. It asks for nothing, so it gets no help either.
    if route.role == LineRole::Router {
        return Ok(Some(ReactionOutcome::NotConnected));
    }
    if route.was_deleted || pool_line::delivered_elsewhere(app, text, &route).await?.is_some() {
        return Ok(None);
    }
    let Some(to) = route.to else { return Ok(None) };
    let situation = inbound::delivery_context(
        &app.db,
        &to,
        &text.remote_number,
        &text.line_number,
        &text.provider_message_id,
    )
    .await?;
    let (None, Some(conversation_id)) = (situation.delivered, situation.conversation_id) else {
        return Ok(None);
    };
    if !situation.imessage_enabled || situation.verdict.is_blocked() {
        return Ok(None);
    }
    let new = NewTapbackText {
        organization_id: to.organization_id,
        conversation_id,
        line_number: text.line_number.clone(),
        provider_message_id: text.provider_message_id.clone(),
        quoted: words.quoted,
        reaction: words.reaction,
        custom_emoji: words.custom_emoji,
        removed: words.removed,
        reaction_id: app.clock.new_id().into(),
        now: app.clock.now(),
    };
    Ok(match tapback_texts::apply(&app.db, new).await? {
        TapbackOutcome::Applied(id) => Some(ReactionOutcome::Stored(id)),
        TapbackOutcome::Unchanged(id) => Some(ReactionOutcome::Duplicate(id)),
        TapbackOutcome::Duplicate => Some(ReactionOutcome::Duplicate(None)),
        TapbackOutcome::Unmatched => None,
    })
}
