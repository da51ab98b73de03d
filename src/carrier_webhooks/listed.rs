//! What a carrier lists of a line: the same events as those of its webhooks, found later.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::dispatch::{dispatch, line_role};
use super::event::Event;
use super::json::{flag, millis, text, time};
use super::normalize::sent_at;
use super::{bluebubbles, sendblue};
use crate::app::App;
use crate::domain::{CarrierKind, PhoneNumber};
use crate::error::{Error, Result};
use crate::messaging::inbound::{self, RawText, TooLate};
use crate::validation::Violations;

/// The results of events that no webhook had delivered.
const FOUND: [&str; 7] =
    ["stored", "stored_blocked", "stored_by_hand", "connected", "disconnected", "tapback", "updated"];

/// When the message of a record was sent.
pub(crate) fn record_time(carrier: CarrierKind, record: &Value) -> Option<DateTime<Utc>> {
    sent_at(match carrier {
        CarrierKind::BlueBubbles => millis(record, "dateCreated"),
        CarrierKind::Sendblue | CarrierKind::Sandbox => time(record, "date_sent"),
    })
}

/// Receives a carrier's record of a message, as the webhooks about it would have been. Returns whether there was something
/// that no webhook had delivered. The result is committed.
///
/// # Errors
/// `StorageUnavailable` and other errors after which a repetition can succeed. A record that cannot be received is left out
/// with a warning, so that it does not keep those behind it from being received.
pub(crate) async fn receive_listed(
    app: &App,
    carrier: CarrierKind,
    line: &PhoneNumber,
    record: &Value,
) -> Result<bool> {
    let mut found = false;
    for event in events(carrier, line, record) {
        match receive(app, carrier, event, record_time(carrier, record)).await {
            Ok(result) => found |= FOUND.contains(&result),
            Err(error @ (Error::StorageUnavailable | Error::Overloaded { .. } | Error::DeadlineExceeded)) => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(%carrier, error = %error, "a message in the list of a carrier was left out");
            }
        }
    }
    Ok(found)
}

/// The events of a record, in the order in which webhooks report them.
fn events(carrier: CarrierKind, line: &PhoneNumber, record: &Value) -> Vec<Event> {
    match carrier {
        CarrierKind::Sandbox => Vec::new(),
        CarrierKind::Sendblue => vec![sendblue::parse(record)],
        CarrierKind::BlueBubbles => {
            let record = with_text(record);
            let is_changed =
                ["dateEdited", "dateRetracted"].iter().any(|name| millis(&record, name).is_some());
            // The status of a sent message is an update as well.
            let has_update = is_changed || flag(&record, "isFromMe");
            let kinds = ["new-message"].into_iter().chain(has_update.then_some("updated-message"));
            kinds
                .map(|kind| bluebubbles::parse(line.as_str(), &json!({ "type": kind, "data": record })))
                .collect()
        }
    }
}

/// The record with its text, which newer versions of macOS store in `attributedBody` only. Webhooks contain it in any case.
fn with_text(record: &Value) -> Value {
    let mut record = record.clone();
    if text(&record, "text").is_none()
        && let Some(words) = record.pointer("/attributedBody/0/string").cloned()
        && let Some(fields) = record.as_object_mut()
    {
        fields.insert("text".to_owned(), words);
    }
    record
}

async fn receive(
    app: &App,
    carrier: CarrierKind,
    mut event: Event,
    sent_at: Option<DateTime<Utc>>,
) -> Result<&'static str> {
    match &mut event {
        // Its files are in the list as soon as the carrier has them.
        Event::Empty(_) => return Ok("ignored"),
        Event::Tapback(tapback) => tapback.put_at = sent_at,
        Event::Text(raw) | Event::Sent(raw, _) => match is_too_late(app, carrier, raw).await? {
            None => {}
            Some(TooLate::Command) => {
                tracing::info!(%carrier, "a command that arrived late was not executed");
                return Ok("too_late");
            }
            Some(TooLate::BeforeConnection) => return Ok("too_late"),
        },
        Event::Update(..) | Event::Status(_) | Event::Ignored(_) => {}
    }
    Ok(dispatch(app, carrier, event, false).await?.result)
}

async fn is_too_late(app: &App, carrier: CarrierKind, raw: &RawText) -> Result<Option<TooLate>> {
    let mut violations = Violations::default();
    let text = raw.clone().validate_partial(&mut violations, app.clock.now());
    let text = violations.finish(|| text)?;
    // `dispatch` reports a number that is not a line.
    match line_role(app, carrier, &text.line_number).await? {
        Some(_) => inbound::is_too_late(app, &text).await,
        None => Ok(None),
    }
}
