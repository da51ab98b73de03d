//! Passes an event to the use case that `RouterService` calls for the same event, and maps the result to a response.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::event::{Event, StatusUpdate};
use super::response::WebhookResponse;
use super::tapback_text::{self, TapbackText};
use super::updates::{receive_empty, receive_sent, receive_update, store_recent_by_hand};
use crate::app::App;
use crate::domain::{CarrierKind, LineRole, PhoneNumber};
use crate::error::{Error, Resource, Result};
use crate::messaging::early_statuses::{self, EarlyOutcome};
use crate::messaging::inbound::{self, RawReaction, RawText, ReactionOutcome, Replies, TextOutcome};
use crate::messaging::outbound;
use crate::store;
use crate::store::inbound::InboundText;
use crate::store::messages::{DeliveryUpdate, UpdateOutcome, update_status};
use crate::validation::Violations;

/// Number of times that an update of a human's message is tried while its message is unknown.
const ATTEMPTS: u32 = 4;
/// Pause between two attempts. A message is usually stored within milliseconds.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Processes an event of this carrier. Its effects are committed when this returns `Ok`. `may_wait` is whether a message that
/// is not known may be looked for again for a while.
///
/// # Errors
/// `InvalidArgument`, `StorageUnavailable`.
pub(super) async fn dispatch(
    app: &App,
    carrier: CarrierKind,
    event: Event,
    may_wait: bool,
) -> Result<WebhookResponse> {
    let attempts = if may_wait { ATTEMPTS } else { 1 };
    match event {
        Event::Ignored(reason) => {
            tracing::debug!(%carrier, why = reason, "webhook ignored");
            Ok(WebhookResponse::done("ignored"))
        }
        Event::Text(text) => receive_text(app, carrier, text).await,
        Event::Sent(text, other_id) => receive_sent(app, carrier, text, other_id).await,
        Event::Empty(text) => receive_empty(app, carrier, text).await,
        Event::Update(text, change) => receive_update(app, carrier, text, change, attempts).await,
        Event::Tapback(reaction) => receive_tapback(app, carrier, reaction).await,
        Event::Status(update) => receive_status(app, carrier, update).await,
    }
}

/// The role of a line; `None` if the number is not a line with this carrier.
pub(super) async fn line_role(
    app: &App,
    carrier: CarrierKind,
    line_number: &PhoneNumber,
) -> Result<Option<LineRole>> {
    let line = store::lines::find(&app.db, line_number).await?;
    Ok(line.filter(|(_, line_carrier)| *line_carrier == carrier).map(|(role, _)| role))
}

/// The response to an event for a number that is not a line with this carrier. An account at Sendblue may have lines that
/// this service does not use. The URL of a BlueBubbles server contains the line, so there it is a configuration error.
pub(super) fn unknown_line(carrier: CarrierKind) -> WebhookResponse {
    tracing::warn!(%carrier, "webhook for a number that is not a line with this carrier");
    match carrier {
        CarrierKind::BlueBubbles => WebhookResponse::not_found("no_such_line"),
        CarrierKind::Sendblue | CarrierKind::Sandbox => WebhookResponse::done("no_such_line"),
    }
}

async fn receive_text(app: &App, carrier: CarrierKind, raw: RawText) -> Result<WebhookResponse> {
    let mut violations = Violations::default();
    let text = raw.validate(&mut violations, app.clock.now());
    let mut text = violations.finish(|| text)?;
    if line_role(app, carrier, &text.line_number).await?.is_none() {
        return Ok(unknown_line(carrier));
    }
    if let Some(tapback) = tapback(&text) {
        if let Some(outcome) = inbound::receive_tapback_text(app, &text, tapback.words).await? {
            return Ok(WebhookResponse::done(reaction_result(outcome)));
        }
        text.text = Some(tapback.visible);
    }
    let outcome = inbound::receive(app, text, Replies::ByLine).await?;
    // The reply is stored with the command. A carrier that waits for it would redeliver the command.
    app.router_replies.notify_one();
    Ok(WebhookResponse::done(text_result(&outcome)))
}

/// The name of a result.
pub(super) const fn text_result(outcome: &TextOutcome) -> &'static str {
    match outcome {
        TextOutcome::Connected { .. } => "connected",
        TextOutcome::Disconnected { .. } => "disconnected",
        TextOutcome::Refused { .. } => "refused",
        TextOutcome::Help { .. } => "help",
        TextOutcome::DuplicateCommand { .. } | TextOutcome::Duplicate(_) | TextOutcome::Forgotten => {
            "duplicate"
        }
        TextOutcome::Completed(_) => "updated",
        TextOutcome::Stored(_) => "stored",
        TextOutcome::StoredBlocked(_) => "stored_blocked",
        TextOutcome::NotConnected => "not_connected",
        TextOutcome::IdentityDisabled => "identity_disabled",
    }
}

/// The tapback that a text describes. A text with files is not a tapback.
fn tapback(text: &InboundText) -> Option<TapbackText> {
    let words = text.text.as_deref().filter(|_| text.media.is_empty())?;
    tapback_text::parse(words, text.remote_number.as_str())
}

async fn receive_tapback(app: &App, carrier: CarrierKind, raw: RawReaction) -> Result<WebhookResponse> {
    let mut violations = Violations::default();
    let reaction = raw.validate(&mut violations);
    let (line_number, reaction) = violations.finish(|| reaction)?;
    if line_role(app, carrier, &line_number).await?.is_none() {
        return Ok(unknown_line(carrier));
    }
    Ok(WebhookResponse::done(match inbound::receive_reaction(app, &line_number, reaction).await {
        Ok(outcome) => reaction_result(outcome),
        // The message is older than the connection, or was never delivered to this service. A redelivery cannot succeed.
        Err(Error::NotFound(Resource::Message)) => "unknown_message",
        Err(error) => return Err(error),
    }))
}

const fn reaction_result(outcome: ReactionOutcome) -> &'static str {
    match outcome {
        ReactionOutcome::Stored(_) => "tapback",
        ReactionOutcome::Duplicate(_) => "duplicate",
        ReactionOutcome::Refused => "refused",
        ReactionOutcome::NotConnected => "not_connected",
        ReactionOutcome::IdentityDisabled => "identity_disabled",
    }
}

async fn receive_status(app: &App, carrier: CarrierKind, update: StatusUpdate) -> Result<WebhookResponse> {
    let StatusUpdate { update: raw, other_id, sent_at, message } = update;
    let mut violations = Violations::default();
    let now = app.clock.now();
    let other = other_id.map(|id| {
        let mut raw = raw.clone();
        raw.provider_message_id = id;
        raw.validate(&mut violations, now)
    });
    let update = raw.validate(&mut violations, now);
    let (update, other) = violations.finish(|| Some((update?, other.flatten())))?;
    match line_role(app, carrier, &update.line_number).await? {
        None => return Ok(unknown_line(carrier)),
        // Replies of the router line are not stored.
        Some(LineRole::Router) => return Ok(WebhookResponse::done("ignored")),
        Some(LineRole::Pool) => {}
    }
    if apply(app, update.clone()).await? {
        return Ok(WebhookResponse::done("status"));
    }
    if let Some(other) = other
        && apply(app, other).await?
    {
        return Ok(WebhookResponse::done("status"));
    }
    if let Some(message) = &message
        && store_recent_by_hand(app, message, now).await?
    {
        apply(app, update).await?;
        return Ok(WebhookResponse::done("stored_by_hand"));
    }
    if !sent_at.is_some_and(|sent_at| may_be_in_progress(app, sent_at, now)) {
        // The message was not sent by this service, or was sent long ago.
        return Ok(WebhookResponse::done("unknown_message"));
    }
    Ok(match early_statuses::keep(&app.db, update).await? {
        EarlyOutcome::Kept => WebhookResponse::done("kept"),
        EarlyOutcome::Applied => WebhookResponse::done("status"),
        EarlyOutcome::Full => WebhookResponse::TOO_EARLY,
    })
}

/// Applies the update to its message; false if no message has this id.
async fn apply(app: &App, update: DeliveryUpdate) -> Result<bool> {
    match update_status(&app.db, update).await? {
        UpdateOutcome::Status(_) => Ok(true),
        UpdateOutcome::UnknownMessage => Ok(false),
        UpdateOutcome::UnknownLine => Err(Error::NotFound(Resource::Line)),
    }
}

/// Whether the send or the delivery of a message may still be in progress, so that the carrier's id of it is not stored yet.
pub(super) fn may_be_in_progress(app: &App, sent_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - sent_at)
        .abs()
        .to_std()
        .is_ok_and(|age| age < outbound::max_send_duration(app.limits.line_time_out))
}
