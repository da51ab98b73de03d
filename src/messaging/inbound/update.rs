//! Later deliveries of a human's message. A carrier may deliver a message before its files are there, and the files with
//! another delivery under the same provider message id.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Replies, TextOutcome, receive};
use crate::app::App;
use crate::domain::LineRole;
use crate::error::{Error, Resource, Result};
use crate::store::inbound::{self, InboundText, MessageUpdate};

/// How long an empty message is remembered. Files follow within seconds, or when a Mac without network has it again.
pub const MAX_WAIT_FOR_FILES: TimeDelta = TimeDelta::days(1);

/// What the human did to a message since it was sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    pub edited_at: Option<DateTime<Utc>>,
    pub retracted_at: Option<DateTime<Utc>>,
}

/// The result of a later delivery.
#[derive(Debug, Clone)]
pub enum UpdateOutcome {
    /// The message was changed.
    Updated,
    /// The message has everything, or was deleted or redacted.
    Unchanged,
    /// The message was remembered as empty, and is received now.
    Received(TextOutcome),
    /// The message is not known. It may be from a group, so it is not stored.
    Unknown,
}

/// Remembers an empty message of a connected human; false if it will not be stored.
///
/// # Errors
/// `NotFound` when there is no line with this number.
pub async fn await_files(app: &App, text: &InboundText) -> Result<bool> {
    let route = inbound::route(&app.db, &text.line_number, &text.remote_number, &text.provider_message_id)
        .await?
        .ok_or(Error::NotFound(Resource::Line))?;
    if route.role == LineRole::Router || route.to.is_none() || route.was_deleted {
        return Ok(false);
    }
    inbound::await_files(&app.db, text, app.clock.now()).await?;
    Ok(true)
}

/// Completes the stored message that a later delivery is about, or receives one that was remembered as empty. The result
/// is committed.
///
/// # Errors
/// `NotFound` when there is no line with this number.
pub async fn receive_update(app: &App, text: &InboundText, change: Change) -> Result<UpdateOutcome> {
    let route = inbound::route(&app.db, &text.line_number, &text.remote_number, &text.provider_message_id)
        .await?
        .ok_or(Error::NotFound(Resource::Line))?;
    if route.role == LineRole::Router {
        return Ok(UpdateOutcome::Unknown);
    }
    if route.was_deleted {
        return Ok(UpdateOutcome::Unchanged);
    }
    let now = app.clock.now();
    let mut update = MessageUpdate::of(text, now);
    // The carrier's clock may be ahead of this process's.
    update.content.edited_at = change.edited_at.map(|at| at.min(now));
    update.content.retracted_at = change.retracted_at.map(|at| at.min(now));
    for organization_id in &route.organizations {
        if let Some(changed) = inbound::update(&app.db, organization_id, update.clone()).await? {
            return Ok(if changed { UpdateOutcome::Updated } else { UpdateOutcome::Unchanged });
        }
    }
    if text.text.is_none() && text.media.is_empty() {
        return Ok(UpdateOutcome::Unknown);
    }
    let since = now - MAX_WAIT_FOR_FILES;
    let Some(chat) = inbound::awaited_chat(&app.db, text, since).await? else {
        return Ok(UpdateOutcome::Unknown);
    };
    let text = InboundText { chat, ..text.clone() };
    Ok(UpdateOutcome::Received(receive(app, text, Replies::ByLine).await?))
}
