//! What becomes of a message that an agent sends: stored as pending, handed to the line, and the line's answer written
//! down. In that order, so that a crash at any point leaves a row that says "not known" and never a message that went
//! out unseen. What is not known is never sent again by itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use crate::app::App;
use crate::domain::{DeliveryStatus, Direction, Message, Transport};
use crate::error::{Error, Result};
use crate::line::{Action, Failure, InLane, OutboundMessage};
use crate::store::conversations::CallTarget;
use crate::store::messages::{self, Claim, NewOutbound, Outcome};

/// How often the line's answer is tried to be written down before the message is left as pending.
const FINISH_ATTEMPTS: u32 = 3;
/// Between those attempts; long enough for a database to come back from a short stop.
const FINISH_PAUSE: Duration = Duration::from_millis(500);
/// What finishing may take beyond the line's time.
const FINISH_MARGIN: Duration = Duration::from_secs(10);

/// How long after its beginning a send has its answer for sure, or its process died.
#[must_use]
pub fn longest(line_time_out: Duration) -> Duration {
    line_time_out + FINISH_MARGIN
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
/// `ConnectionReleased`, `RateLimited` (nothing is stored); `UpstreamFailed` (stored as failed).
pub async fn send(app: App, target: CallTarget, new: NewOutbound, lane: InLane) -> Result<Sent> {
    // Before anything is stored: a refusal here leaves the idempotency key free.
    let carrier = app.carriers.of(&target.line_number).await?;
    if messages::claim(&app.db, new.clone()).await? == Claim::KeyTaken {
        return Ok(Sent::KeyTaken);
    }
    let thread = target.thread(&new.organization_id);
    let message = OutboundMessage {
        id: new.message_id,
        text: new.text.as_deref(),
        media_url: new.media.as_ref().map(|file| file.url.as_str()),
        style: new.send_style,
    };
    let answer = carrier.perform(&thread, Action::Message(message)).await;
    let (outcome, failure) = match answer {
        Ok(accepted) => (Outcome::Accepted { provider_message_id: accepted.provider_message_id }, None),
        Err(Failure::Unknown) => (Outcome::Unknown, None),
        Err(failure) => {
            (Outcome::Failed { code: failure.code(), message: failure.to_string() }, Some(failure))
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

/// Writes the line's answer down, and tells when; `None` when the database would not take it.
async fn finish(app: &App, new: &NewOutbound, outcome: &Outcome) -> Option<DateTime<Utc>> {
    for attempt in 1..=FINISH_ATTEMPTS {
        let now = app.clock.now();
        match messages::finish(&app.db, new, outcome.clone(), now).await {
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
