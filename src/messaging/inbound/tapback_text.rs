//! Tapbacks that a carrier delivers as text, such as `Loved "see you at eight"`.

use super::{ReactionOutcome, find_route, pool_line};
use crate::app::App;
use crate::domain::{LineRole, ReactionType};
use crate::error::Result;
use crate::store::inbound::{self, InboundText};
use crate::store::tapback_texts::{self, NewTapbackText, Quoted, TapbackOutcome};

/// A tapback that was parsed from a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapbackWords {
    pub reaction: ReactionType,
    /// Set for custom reactions only.
    pub custom_emoji: Option<String>,
    /// Whether the text removes the tapback.
    pub removed: bool,
    /// The quotation of the message that the tapback is on.
    pub quoted: Quoted,
}

/// Stores the tapback in a text. `None` if the text must be received as a message instead, so that nothing is lost: no
/// message matches the quotation, an earlier delivery was stored as a message, or the human cannot reach an agent. The
/// result is committed.
///
/// # Errors
/// `NotFound` when there is no line with this number.
pub async fn receive_tapback_text(
    app: &App,
    text: &InboundText,
    words: TapbackWords,
) -> Result<Option<ReactionOutcome>> {
    if tapback_texts::was_delivered(&app.db, &text.line_number, &text.provider_message_id).await? {
        return Ok(Some(ReactionOutcome::Duplicate(None)));
    }
    let (route, remote_number) =
        find_route(app, &text.line_number, &text.remote_number, &text.provider_message_id).await?;
    // A tapback on a reply of the router line belongs to no conversation, and is no command that help would answer.
    if route.role == LineRole::Router {
        return Ok(Some(ReactionOutcome::NotConnected));
    }
    if route.was_deleted || pool_line::delivered_elsewhere(app, text, &route).await?.is_some() {
        return Ok(None);
    }
    let Some(to) = route.to else { return Ok(None) };
    let context =
        inbound::delivery_context(&app.db, &to, &remote_number, &text.line_number, &text.provider_message_id)
            .await?;
    let (None, Some(conversation_id)) = (context.delivered, context.conversation_id) else {
        return Ok(None);
    };
    if !context.imessage_enabled || context.verdict.is_blocked() {
        return Ok(None);
    }
    let new = NewTapbackText {
        organization_id: to.organization_id,
        conversation_id,
        remote_number,
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
