//! Later deliveries of a human's message, messages whose files are still to come, and messages sent by hand.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;

use super::dispatch::{RETRY_PAUSE, line_role, may_be_in_progress, text_result, unknown_line};
use super::response::WebhookResponse;
use crate::app::App;
use crate::domain::{CarrierKind, LineRole};
use crate::error::Result;
use crate::messaging::inbound::{self, ByHandOutcome, Change, RawText, UpdateOutcome};
use crate::store::inbound::InboundText;
use crate::validation::Violations;

/// Maximum age of a message whose status update can tell that it was sent by hand.
const MAX_REPORT_AGE: TimeDelta = TimeDelta::days(1);

/// Remembers a message without text and files, so that it is stored when its files arrive.
///
/// # Errors
/// `InvalidArgument`, `StorageUnavailable`.
pub(super) async fn receive_empty(app: &App, carrier: CarrierKind, raw: RawText) -> Result<WebhookResponse> {
    let text = validate(app, raw)?;
    match line_role(app, carrier, &text.line_number).await? {
        None => return Ok(unknown_line(carrier)),
        Some(LineRole::Router) => return Ok(WebhookResponse::done("ignored")),
        Some(LineRole::Pool) => {}
    }
    let is_awaited = inbound::await_files(app, &text).await?;
    Ok(WebhookResponse::done(if is_awaited { "awaits_files" } else { "ignored" }))
}

/// Changes the message that a later delivery is about. One that a request in progress may be about to store is looked
/// for again: the carrier does not redeliver.
///
/// # Errors
/// `InvalidArgument`, `StorageUnavailable`.
pub(super) async fn receive_update(
    app: &App,
    carrier: CarrierKind,
    raw: RawText,
    change: Change,
    attempts: u32,
) -> Result<WebhookResponse> {
    let is_changed = change.edited_at.is_some() || change.retracted_at.is_some();
    if raw.is_empty() && !is_changed {
        tracing::debug!(%carrier, "update without content ignored");
        return Ok(WebhookResponse::done("ignored"));
    }
    let text = validate(app, raw)?;
    match line_role(app, carrier, &text.line_number).await? {
        None => return Ok(unknown_line(carrier)),
        Some(LineRole::Router) => return Ok(WebhookResponse::done("ignored")),
        Some(LineRole::Pool) => {}
    }
    let adds_something = is_changed || !text.media.is_empty();
    for attempt in 1..=attempts {
        match inbound::receive_update(app, &text, change).await? {
            UpdateOutcome::Updated => return Ok(WebhookResponse::done("updated")),
            UpdateOutcome::Unchanged => return Ok(WebhookResponse::done("duplicate")),
            UpdateOutcome::Received(outcome) => return Ok(WebhookResponse::done(text_result(&outcome))),
            UpdateOutcome::Unknown if !adds_something => return Ok(WebhookResponse::done("ignored")),
            UpdateOutcome::Unknown => {}
        }
        if attempt == attempts || !may_be_in_progress(app, text.sent_at, app.clock.now()) {
            break;
        }
        sleep(RETRY_PAUSE).await;
    }
    Ok(WebhookResponse::done("unknown_message"))
}

/// Stores a message that a person sent by hand from the account of a line. Echoes of what this service sent change nothing.
///
/// # Errors
/// `InvalidArgument`, `StorageUnavailable`.
pub(super) async fn receive_sent(
    app: &App,
    carrier: CarrierKind,
    raw: RawText,
    other_id: Option<String>,
) -> Result<WebhookResponse> {
    let text = validate(app, raw)?;
    match line_role(app, carrier, &text.line_number).await? {
        None => return Ok(unknown_line(carrier)),
        // Replies of the router line are not stored.
        Some(LineRole::Router) => return Ok(WebhookResponse::done("ignored")),
        Some(LineRole::Pool) => {}
    }
    let outcome = inbound::receive_sent_by_hand(app, &text, other_id.as_deref()).await?;
    Ok(WebhookResponse::done(match outcome {
        ByHandOutcome::Stored => "stored_by_hand",
        ByHandOutcome::Known => "ignored",
        ByHandOutcome::NotConnected => "not_connected",
        ByHandOutcome::IdentityDisabled => "identity_disabled",
    }))
}

/// Stores a message that a status update contains, if it was sent by hand within the last day. An older one may be of this
/// service, which forgets the carrier's ids of deleted messages. Returns whether it was stored.
///
/// # Errors
/// `InvalidArgument`, `StorageUnavailable`.
pub(super) async fn store_recent_by_hand(app: &App, raw: &RawText, now: DateTime<Utc>) -> Result<bool> {
    if raw.sent_at.is_none_or(|sent_at| now - sent_at > MAX_REPORT_AGE) {
        return Ok(false);
    }
    let text = validate(app, raw.clone())?;
    Ok(inbound::receive_sent_by_hand(app, &text, None).await? == ByHandOutcome::Stored)
}

fn validate(app: &App, raw: RawText) -> Result<InboundText> {
    let mut violations = Violations::default();
    let text = raw.validate_partial(&mut violations, app.clock.now());
    violations.finish(|| text)
}
