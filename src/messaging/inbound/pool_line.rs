//! Texts to a pool line: messages to agents.

use super::TextOutcome;
use crate::app::App;
use crate::error::Result;
use crate::store::inbound::{
    self, AppendOutcome, InboundText, MessageUpdate, NewInbound, ReplyTarget, Route, StoredMessage,
};

/// The message that another organization stored for the same delivery. A carrier may redeliver a text after its
/// connection was released and the human has connected to another organization on the same line. The text belongs only
/// to the organization that stored it first.
pub(super) async fn delivered_elsewhere(
    app: &App,
    text: &InboundText,
    route: &Route,
) -> Result<Option<StoredMessage>> {
    for organization_id in &route.organizations {
        if route.to.as_ref().is_some_and(|to| to.organization_id == *organization_id) {
            continue;
        }
        let delivered =
            inbound::find_delivered(&app.db, organization_id, &text.line_number, &text.provider_message_id);
        if let Some(stored) = delivered.await? {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Stores a text in the conversation of its route. `None` if the route or what decides whether the human is blocked has
/// changed and must be looked up again.
pub(super) async fn deliver(app: &App, text: &InboundText, route: Route) -> Result<Option<TextOutcome>> {
    if route.was_deleted {
        return Ok(Some(TextOutcome::Forgotten));
    }
    if let Some(stored) = delivered_elsewhere(app, text, &route).await? {
        return Ok(Some(TextOutcome::Duplicate(stored)));
    }
    let Some(to) = route.to else { return Ok(Some(TextOutcome::NotConnected)) };
    let context = inbound::delivery_context(
        &app.db,
        &to,
        &text.remote_number,
        &text.line_number,
        &text.provider_message_id,
    )
    .await?;
    if let Some(stored) = context.delivered {
        let update = MessageUpdate::of(text, app.clock.now());
        let has_files = !text.media.is_empty();
        let is_completed =
            has_files && inbound::update(&app.db, &to.organization_id, update).await? == Some(true);
        return Ok(Some(if is_completed {
            TextOutcome::Completed(stored)
        } else {
            TextOutcome::Duplicate(stored)
        }));
    }
    if !context.imessage_enabled {
        return Ok(Some(TextOutcome::IdentityDisabled));
    }
    // Before the text is stored: what an agent sends in answer to it must name this chat.
    if let Some(chat) = &text.chat {
        inbound::set_chat(&app.db, &to.organization_id, to.connection_id, chat).await?;
    }
    let is_blocked = context.verdict.is_blocked();
    let reply_to = match (&text.reply_to, context.conversation_id) {
        (Some(original), Some(conversation_id)) => {
            let target = ReplyTarget {
                conversation_id,
                line_number: &text.line_number,
                provider_message_id: original,
                // The id of a blocked message must not be visible to the agent.
                includes_blocked: is_blocked,
            };
            inbound::find_reply_target(&app.db, &to.organization_id, target).await?
        }
        _ => None,
    };
    let new = NewInbound {
        text: text.clone(),
        to,
        message_id: app.clock.new_id().into(),
        new_conversation_id: app.clock.new_id().into(),
        reply_to,
        is_blocked,
        now: app.clock.now(),
    };
    Ok(match inbound::store(&app.db, new, context.conversation_id).await? {
        AppendOutcome::Stored(stored) if is_blocked => Some(TextOutcome::StoredBlocked(stored)),
        AppendOutcome::Stored(stored) => Some(TextOutcome::Stored(stored)),
        AppendOutcome::Delivered | AppendOutcome::Stale => None,
    })
}
