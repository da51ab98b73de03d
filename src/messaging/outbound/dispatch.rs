//! Dispatching a message to its carrier: the message is stored as pending, handed to the carrier, and the carrier's
//! answer is recorded. In this order, a crash at any point leaves a pending message, whose outcome is unknown, and never
//! a message that was sent but not stored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::reconcile::{max_send_duration, outcome_of, reconcile};
use super::reply::ReplyTo;
use super::request::SendRequest;
use super::validate::Content;
use crate::admission::RETRY_AFTER;
use crate::app::App;
use crate::carriers::{Action, CarrierError, OutboundMessage, QueueGuard};
use crate::domain::{
    ConversationId, DeliveryStatus, Direction, Message, MessageOrigin, OrganizationId, Transport,
};
use crate::error::{Error, Resource, Result};
use crate::messaging::early_statuses;
use crate::store::conversations::{self, ContactTarget};
use crate::store::messages::{self, NewOutbound, Outcome, Reservation};

/// Attempts to record the carrier's answer before the message is left pending.
const RECORD_ATTEMPTS: u32 = 3;
/// Pause between these attempts, long enough for a short restart of the database.
const RECORD_PAUSE: Duration = Duration::from_millis(500);

pub(super) enum Dispatched {
    /// The message as it is stored: queued, or pending if the outcome is unknown.
    Sent(Box<Message>),
    /// Another request with the same idempotency key was first. Nothing was stored.
    DuplicateKey,
}

/// Sends a message. `turn` is held until the carrier's answer is recorded.
///
/// # Errors
/// Those of the checks, if they do not hold any more; `RateLimited`, `NotSupportedByCarrier`; `Overloaded` while a release
/// waits for other sends (nothing is stored); `UpstreamFailed` (stored as failed).
pub(super) async fn dispatch(
    app: App,
    organization_id: OrganizationId,
    target: ContactTarget,
    request: SendRequest,
    reply_to: Option<ReplyTo>,
    turn: QueueGuard,
) -> Result<Dispatched> {
    // Before anything is stored: an error here leaves the idempotency key free.
    let carrier = app.carriers.for_line(&target.line_number).await?;
    let SendRequest { content: Content { text, media }, send_style, idempotency_key, .. } = request;
    let message_id = app.clock.new_id().into();
    // Taken after the wait in the queue, so that messages are listed in the order in which they were sent.
    let now = app.clock.now();
    let plain = OutboundMessage {
        id: message_id,
        text: text.as_deref(),
        media_url: media.as_ref().map(|file| file.url.as_str()),
        style: send_style,
        reply_to: None,
        at: now,
    };
    if !carrier.supports(Action::Message(plain)) {
        return Err(Error::NotSupportedByCarrier);
    }
    let reply = match reply_to {
        Some(reply_to) => reply_to.as_carrier_knows_it(&*carrier, &target, plain)?,
        None => None,
    };
    let (reply_to, provider_reply_to) = reply.unzip();
    let new = NewOutbound {
        organization_id,
        identity_id: target.identity_id,
        conversation_id: target.conversation_id,
        assignment_id: target.eligibility.connection_id,
        line_number: target.line_number.clone(),
        message_id,
        text: text.clone(),
        media: media.clone(),
        send_style,
        reply_to,
        idempotency_key,
        per_day: app.limits.per_day,
        longest: max_send_duration(app.limits.line_time_out),
        now,
    };
    let message = OutboundMessage { reply_to: provider_reply_to.as_deref(), ..plain };
    app.actions.count(new.identity_id)?;
    match messages::reserve(&app.db, new.clone()).await? {
        // The message ends the indicator; no renewal follows it, since the turn is held.
        Reservation::Acquired => app.typing.end(&new.organization_id, new.conversation_id),
        Reservation::DuplicateKey => return Ok(Dispatched::DuplicateKey),
        Reservation::Ineligible => {
            // The target has changed since it was read.
            current_target(&app, &new.organization_id, new.conversation_id).await?;
            return Err(Error::Overloaded { retry_after: RETRY_AFTER });
        }
    }
    let thread = target.thread(&new.organization_id);
    let answer = match carrier.perform(&thread, Action::Message(message)).await {
        Err(CarrierError::Unknown) => reconcile(&app, &*carrier, &thread, message).await,
        answer => answer,
    };
    let recorded_at = record(&app, &new, &outcome_of(&answer)).await;
    drop(turn);
    let is_queued = match answer {
        Ok(_) => recorded_at.is_some(),
        Err(CarrierError::Unknown) => false,
        Err(failure) => return Err(failure.into()),
    };
    Ok(Dispatched::Sent(Box::new(Message {
        id: new.message_id,
        conversation_id: new.conversation_id,
        assignment_id: new.assignment_id,
        direction: Direction::Outbound,
        remote_number: target.remote_number,
        text,
        media: media.into_iter().collect(),
        send_style: new.send_style,
        transport: Transport::IMessage,
        status: if is_queued { DeliveryStatus::Queued } else { DeliveryStatus::Pending },
        error: None,
        was_downgraded: false,
        is_read: true,
        is_blocked: false,
        reactions: Vec::new(),
        created_at: new.now,
        updated_at: recorded_at.filter(|_| is_queued).unwrap_or(new.now),
        edited_at: None,
        retracted_at: None,
        original_text: None,
        reply_to: new.reply_to,
        origin: MessageOrigin::Service,
    })))
}

/// The target as it is now, after the same checks.
pub(super) async fn current_target(
    app: &App,
    organization_id: &OrganizationId,
    id: ConversationId,
) -> Result<ContactTarget> {
    let target = conversations::target(&app.db, organization_id, None, id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.check_send()?;
    Ok(target)
}

/// Records the carrier's answer and returns when; `None` if the database did not accept it.
async fn record(app: &App, new: &NewOutbound, outcome: &Outcome) -> Option<DateTime<Utc>> {
    let mut outcome = outcome.clone();
    for attempt in 1..=RECORD_ATTEMPTS {
        let now = app.clock.now();
        match messages::record_result(&app.db, new, outcome.clone(), now).await {
            Ok(()) => {
                if let Outcome::Accepted { provider_message_id: Some(id) } = &outcome
                    && let Err(error) = early_statuses::apply(&app.db, &new.line_number, id).await
                {
                    tracing::warn!(message.id = %new.message_id, error = %error,
                        "early delivery updates were not applied");
                }
                return Some(now);
            }
            Err(error) if error.violates(messages::ONE_PER_PROVIDER_ID) => {
                tracing::warn!(message.id = %new.message_id, "the carrier gave the id of an earlier message");
                outcome = Outcome::Accepted { provider_message_id: None };
            }
            Err(failure) => {
                tracing::warn!(message.id = %new.message_id, attempt, error = %Error::from(failure),
                    "the carrier's answer could not be recorded");
            }
        }
        if attempt < RECORD_ATTEMPTS {
            sleep(RECORD_PAUSE).await;
        }
    }
    tracing::error!(message.id = %new.message_id, "message stays pending: the carrier's answer was lost");
    None
}
