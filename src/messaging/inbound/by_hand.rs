//! Messages that a person sends by hand from the account of a line, such as in the Messages app of a Mac.

use chrono::TimeDelta;
use uuid::Uuid;

use super::pool_line::delivered_elsewhere;
use crate::app::App;
use crate::domain::LineRole;
use crate::error::{Error, Resource, Result};
use crate::messaging::outbound::adopt;
use crate::store::inbound::{self, AppendOutcome, InboundText, NewInbound, OwnMessage, ReplyTarget};

/// How long a message whose outcome is unknown may still be sent, such as by a Mac that was offline.
const MAX_DELAY: TimeDelta = TimeDelta::days(1);

/// The result of receiving the echo of a sent message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHandOutcome {
    /// It was sent by hand, and is stored as an outbound message.
    Stored,
    /// This service sent it, or it is stored already.
    Known,
    /// The human has no active connection on this line. Nothing was stored.
    NotConnected,
    /// iMessage is disabled for the identity. Nothing was stored.
    IdentityDisabled,
}

/// Stores a message that was sent from a line to a human, unless this service sent it. If that message is pending, since its
/// send got no answer, it is now known to be sent. The result is committed.
///
/// The echo of a message of this service may arrive before the carrier's id of it is recorded. The message itself is
/// committed before the carrier is called, so that such an echo finds a message with its content and without an id. If
/// the id is recorded after this was checked, or has been before, the unique key of the id refuses a second message.
///
/// # Errors
/// `NotFound` when there is no line with this number.
pub async fn receive_sent_by_hand(
    app: &App,
    text: &InboundText,
    other_id: Option<&str>,
) -> Result<ByHandOutcome> {
    let route = inbound::route(&app.db, &text.line_number, &text.remote_number, &text.provider_message_id)
        .await?
        .ok_or(Error::NotFound(Resource::Line))?;
    if route.role == LineRole::Router || route.to.is_none() {
        return Ok(ByHandOutcome::NotConnected);
    }
    if route.was_deleted || delivered_elsewhere(app, text, &route).await?.is_some() {
        return Ok(ByHandOutcome::Known);
    }
    let Some(to) = route.to else { return Ok(ByHandOutcome::NotConnected) };
    let (line, human) = (&text.line_number, &text.remote_number);
    let context = inbound::delivery_context(&app.db, &to, human, line, &text.provider_message_id).await?;
    if context.delivered.is_some() {
        return Ok(ByHandOutcome::Known);
    }
    if !context.imessage_enabled {
        return Ok(ByHandOutcome::IdentityDisabled);
    }
    let mut reply_to = None;
    if let Some(conversation_id) = context.conversation_id {
        let own = OwnMessage {
            conversation_id,
            id: other_id.and_then(|id| Uuid::try_parse(id).ok()),
            text: text.text.as_deref(),
            since: app.clock.now() - MAX_DELAY,
        };
        if let Some(found) = inbound::find_own_message(&app.db, &to.organization_id, own).await? {
            if found.awaits_id {
                let id = &text.provider_message_id;
                adopt(app, &to.organization_id, found.id, line, id).await?;
            }
            return Ok(ByHandOutcome::Known);
        }
        if let Some(original) = &text.reply_to {
            let target = ReplyTarget {
                conversation_id,
                line_number: line,
                provider_message_id: original,
                includes_blocked: false,
            };
            reply_to = inbound::find_reply_target(&app.db, &to.organization_id, target).await?;
        }
    }
    let new = NewInbound {
        text: text.clone(),
        to,
        message_id: app.clock.new_id().into(),
        new_conversation_id: app.clock.new_id().into(),
        reply_to,
        is_blocked: false,
        now: app.clock.now(),
    };
    Ok(match inbound::store_sent_by_hand(&app.db, new).await? {
        AppendOutcome::Stored(_) => ByHandOutcome::Stored,
        AppendOutcome::Delivered => ByHandOutcome::Known,
        AppendOutcome::Stale => ByHandOutcome::NotConnected,
    })
}
