//! What becomes of a message that an agent sends: stored as pending, handed to the line, and the line's answer written
//! down. In that order, so that a crash at any point leaves a row that says "not known" and never a message that went
//! out unseen. What is not known is looked up at the carrier, and never sent again by itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::carriers::{
    Accepted, Action, Carrier, CarrierError, OutboundMessage, QueueGuard, Thread, ThreadOwner,
};
use crate::domain::{DeliveryStatus, Direction, Message, OrganizationId, Transport};
use crate::error::{Error, Result};
use crate::store::conversations::ContactTarget;
use crate::store::messages::{self, NewOutbound, Outcome, Reservation};

/// How often the line's answer is tried to be written down before the message is left as pending.
const FINISH_ATTEMPTS: u32 = 3;
/// Between those attempts; long enough for a database to come back from a short stop.
const FINISH_PAUSE: Duration = Duration::from_millis(500);
/// How long the carrier may take to say what it has of a message, after a send that got no answer.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(3);
/// What finishing may take beyond the line's time.
const FINISH_MARGIN: Duration = Duration::from_secs(10);

/// How long after its beginning a send has its answer for sure, or its process died.
#[must_use]
pub fn longest(line_time_out: Duration) -> Duration {
    line_time_out + LOOK_UP_LIMIT + FINISH_MARGIN
}

/// What a send came to.
#[derive(Debug)]
pub enum Sent {
    /// The message, as queued, or as pending where the outcome is not known.
    Message(Box<Message>),
    /// Another request with the same idempotency key was faster.
    KeyTaken,
}

/// Sends a message, with the lane of its conversation held all the while.
///
/// # Errors
/// `ConnectionReleased`, `RateLimited`, `NotSupportedByCarrier` (nothing is stored); `UpstreamFailed` (stored as failed).
pub async fn send(app: App, target: ContactTarget, new: NewOutbound, lane: QueueGuard) -> Result<Sent> {
    // Before anything is stored: a refusal here leaves the idempotency key free.
    let carrier = app.carriers.for_line(&target.line_number).await?;
    let message = OutboundMessage {
        id: new.message_id,
        text: new.text.as_deref(),
        media_url: new.media.as_ref().map(|file| file.url.as_str()),
        style: new.send_style,
        at: new.now,
    };
    if !carrier.supports(Action::Message(message)) {
        return Err(Error::NotSupportedByCarrier);
    }
    if messages::reserve(&app.db, new.clone()).await? == Reservation::DuplicateKey {
        return Ok(Sent::KeyTaken);
    }
    let thread = target.thread(&new.organization_id);
    let answer = match carrier.perform(&thread, Action::Message(message)).await {
        Err(CarrierError::Unknown) => look_up(&app, &*carrier, &thread, message).await,
        answer => answer,
    };
    let (outcome, failure) = match answer {
        Ok(accepted) => (Outcome::Accepted { provider_message_id: accepted.provider_message_id }, None),
        Err(CarrierError::Unknown) => (Outcome::Unknown, None),
        Err(failure) => {
            (Outcome::Failed { code: failure.code().to_owned(), message: failure.to_string() }, Some(failure))
        }
    };
    let finished_at = finish(&app, &new, &outcome).await;
    drop(lane);
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let is_queued = finished_at.is_some() && matches!(outcome, Outcome::Accepted { .. });
    Ok(Sent::Message(Box::new(Message {
        id: new.message_id,
        conversation_id: new.conversation_id,
        assignment_id: new.assignment_id,
        direction: Direction::Outbound,
        remote_number: target.remote_number,
        text: new.text,
        media: new.media.into_iter().collect(),
        send_style: new.send_style,
        transport: Transport::IMessage,
        status: if is_queued { DeliveryStatus::Queued } else { DeliveryStatus::Pending },
        error: None,
        was_downgraded: false,
        is_read: true,
        is_blocked: false,
        reactions: Vec::new(),
        created_at: new.now,
        updated_at: finished_at.filter(|_| is_queued).unwrap_or(new.now),
    })))
}

/// What the carrier has of a message whose send got no answer; `Unknown` again where it has nothing or cannot tell.
async fn look_up(
    app: &App,
    carrier: &dyn Carrier,
    thread: &Thread,
    message: OutboundMessage<'_>,
) -> Result<Accepted, CarrierError> {
    let Ok(Ok(found)) = timeout(LOOK_UP_LIMIT, carrier.look_up(thread, message)).await else {
        return Err(CarrierError::Unknown);
    };
    let ids: Vec<_> = found.iter().map(|found| found.provider_message_id.clone()).collect();
    // The same words may have been sent before: what is known to be another message is not this one.
    let Ok(known) = messages::known_provider_ids(&app.db, &thread.line_number, &ids).await else {
        return Err(CarrierError::Unknown);
    };
    let mut open: Vec<_> =
        found.into_iter().filter(|found| !known.contains(&found.provider_message_id)).collect();
    if let Some(taken) = open.iter().position(|found| found.failure.is_none()) {
        let provider_message_id = Some(open.swap_remove(taken).provider_message_id);
        return Ok(Accepted { provider_message_id });
    }
    // Of several that failed, all but one are others, whose ids were not kept.
    match (open.pop(), open.is_empty()) {
        (Some(only), true) => Err(only.failure.unwrap_or(CarrierError::Unknown)),
        _ => Err(CarrierError::Unknown),
    }
}

/// Asks the carrier about a message that is pending, and writes down what it says. Whether it said anything.
///
/// # Errors
/// `StorageUnavailable`.
pub async fn resolve(app: &App, organization_id: &OrganizationId, pending: &Message) -> Result<bool> {
    // Its body was deleted for its age: there is nothing to know it by.
    if pending.text.is_none() && pending.media.is_empty() {
        return Ok(false);
    }
    let Some(sent) = messages::find_carrier_ref(&app.db, organization_id, pending.id).await? else {
        return Ok(false);
    };
    // A carrier that is not configured any more cannot be asked; `of` has told the operator.
    let Ok(carrier) = app.carriers.for_line(&sent.line_number).await else { return Ok(false) };
    let thread = Thread {
        owner: Some(ThreadOwner {
            organization_id: organization_id.clone(),
            conversation_id: pending.conversation_id,
        }),
        line_number: sent.line_number,
        remote_number: pending.remote_number.clone(),
    };
    let message = OutboundMessage {
        id: pending.id,
        text: pending.text.as_deref(),
        media_url: pending.media.first().map(|file| file.url.as_str()),
        style: pending.send_style,
        at: pending.created_at,
    };
    let outcome = match look_up(app, &*carrier, &thread, message).await {
        Ok(Accepted { provider_message_id }) => Outcome::Accepted { provider_message_id },
        Err(CarrierError::Unknown) => return Ok(false),
        Err(failure) => Outcome::Failed { code: failure.code().to_owned(), message: failure.to_string() },
    };
    let now = app.clock.now();
    messages::record_lookup(&app.db, organization_id, pending.id, &thread.line_number, outcome, now).await?;
    Ok(true)
}

/// Writes the line's answer down, and tells when; `None` when the database would not take it.
async fn finish(app: &App, new: &NewOutbound, outcome: &Outcome) -> Option<DateTime<Utc>> {
    for attempt in 1..=FINISH_ATTEMPTS {
        let now = app.clock.now();
        match messages::record_result(&app.db, new, outcome.clone(), now).await {
            Ok(()) => return Some(now),
            Err(failure) => {
                tracing::warn!(message.id = %new.message_id, attempt, error = %Error::from(failure),
                    "the line's answer was not written down");
            }
        }
        if attempt < FINISH_ATTEMPTS {
            sleep(FINISH_PAUSE).await;
        }
    }
    tracing::error!(message.id = %new.message_id, "a message stays pending: the line's answer was lost");
    None
}
