//! Reconciliation: asking the carrier about a message whose send has an unknown outcome. Nothing is resent.

use std::time::Duration;

use tokio::time::timeout;

use crate::app::App;
use crate::carriers::{Accepted, Carrier, CarrierError, OutboundMessage, Thread, ThreadOwner};
use crate::domain::{DeliveryStatus, Message, MessageId, OrganizationId, PhoneNumber, View};
use crate::error::Result;
use crate::messaging::early_statuses;
use crate::store::messages::{self, Outcome};

/// How long a lookup at the carrier may take.
const MAX_LOOKUP_DURATION: Duration = Duration::from_secs(3);
/// What recording the carrier's answer may take after the carrier's own time limit.
const RECORD_MARGIN: Duration = Duration::from_secs(10);

/// Maximum time from the start of a send until its outcome is recorded. After it, the sending process must have died.
#[must_use]
pub fn max_send_duration(line_time_out: Duration) -> Duration {
    line_time_out + MAX_LOOKUP_DURATION + RECORD_MARGIN
}

/// Asks the carrier for the outcome of a message. `Unknown` if the carrier has no such message or cannot tell.
pub(super) async fn reconcile(
    app: &App,
    carrier: &dyn Carrier,
    thread: &Thread,
    message: OutboundMessage<'_>,
) -> Result<Accepted, CarrierError> {
    let Ok(Ok(found)) = timeout(MAX_LOOKUP_DURATION, carrier.lookup(thread, message)).await else {
        return Err(CarrierError::Unknown);
    };
    let ids: Vec<_> = found.iter().map(|found| found.provider_message_id.clone()).collect();
    // The same text may have been sent before, so matches that belong to other messages are excluded.
    let Ok(known) = messages::known_provider_ids(&app.db, &thread.line_number, &ids).await else {
        return Err(CarrierError::Unknown);
    };
    let mut candidates: Vec<_> =
        found.into_iter().filter(|found| !known.contains(&found.provider_message_id)).collect();
    if let Some(accepted) = candidates.iter().position(|found| found.failure.is_none()) {
        let provider_message_id = Some(candidates.swap_remove(accepted).provider_message_id);
        return Ok(Accepted { provider_message_id });
    }
    // The ids of failed sends are not stored. If several candidates failed, it is unknown which one is this message.
    match (candidates.pop(), candidates.is_empty()) {
        (Some(only), true) => Err(only.failure.unwrap_or(CarrierError::Unknown)),
        _ => Err(CarrierError::Unknown),
    }
}

/// Asks the carrier about a message if it is still pending when its turn comes, and records the outcome. Returns whether
/// there was one.
///
/// # Errors
/// `Overloaded` if too many calls wait for the conversation, `StorageUnavailable`.
pub async fn reconcile_by_id(app: &App, organization_id: &OrganizationId, id: MessageId) -> Result<bool> {
    let read = async || messages::get_from_primary(&app.db, organization_id, None, View::All, id).await;
    let Some(message) = read().await? else { return Ok(false) };
    // One call at a time, so that two pending messages with the same content do not adopt the same one at the carrier.
    let turn = app.queues.enter(organization_id, message.conversation_id).await?;
    let current = read().await?.filter(|message| message.status == DeliveryStatus::Pending);
    let Some(pending) = current else { return Ok(false) };
    let found = reconcile_pending(app, organization_id, &pending).await;
    drop(turn);
    found
}

/// Asks the carrier about a pending message and records the outcome. Returns whether there was one.
///
/// # Errors
/// `StorageUnavailable`.
async fn reconcile_pending(app: &App, organization_id: &OrganizationId, pending: &Message) -> Result<bool> {
    // Retention has deleted the content, by which the carrier would find the message.
    if pending.text.is_none() && pending.media.is_empty() {
        return Ok(false);
    }
    let Some(sent) = messages::find_carrier_ref(&app.db, organization_id, pending.id).await? else {
        return Ok(false);
    };
    // The carrier is not configured any more; `for_line` has logged it.
    let Ok(carrier) = app.carriers.for_line(&sent.line_number).await else { return Ok(false) };
    let thread = Thread {
        owner: Some(ThreadOwner {
            organization_id: organization_id.clone(),
            conversation_id: pending.conversation_id,
        }),
        line_number: sent.line_number,
        remote_number: pending.remote_number.clone(),
        chat: sent.chat,
    };
    let message = OutboundMessage {
        id: pending.id,
        text: pending.text.as_deref(),
        media_url: pending.media.first().map(|file| file.url.as_str()),
        style: pending.send_style,
        // A lookup goes by chat, time and text.
        reply_to: None,
        at: pending.created_at,
    };
    let outcome = outcome_of(&reconcile(app, &*carrier, &thread, message).await);
    if matches!(outcome, Outcome::Unknown) {
        return Ok(false);
    }
    record(app, organization_id, pending.id, &thread.line_number, outcome).await
}

/// Records that the carrier has a pending message under this id, as the echo of the message says.
///
/// # Errors
/// `StorageUnavailable`.
pub async fn adopt(
    app: &App,
    organization_id: &OrganizationId,
    id: MessageId,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<()> {
    let outcome = Outcome::Accepted { provider_message_id: Some(provider_message_id.to_owned()) };
    record(app, organization_id, id, line_number, outcome).await?;
    Ok(())
}

/// Records what is known of a pending message. Returns whether it was recorded.
async fn record(
    app: &App,
    organization_id: &OrganizationId,
    id: MessageId,
    line: &PhoneNumber,
    outcome: Outcome,
) -> Result<bool> {
    let now = app.clock.now();
    let recorded = messages::record_lookup(&app.db, organization_id, id, line, outcome.clone(), now).await;
    match recorded {
        // Another replica has just found out that it is the message of another send.
        Err(error) if error.violates(messages::ONE_PER_PROVIDER_ID) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => {
            if let Outcome::Accepted { provider_message_id: Some(id) } = &outcome {
                early_statuses::apply(&app.db, line, id).await?;
            }
            Ok(true)
        }
    }
}

/// A carrier's answer as the message stores it.
pub(super) fn outcome_of(answer: &Result<Accepted, CarrierError>) -> Outcome {
    match answer {
        Ok(Accepted { provider_message_id }) => {
            Outcome::Accepted { provider_message_id: provider_message_id.clone() }
        }
        Err(CarrierError::Unknown) => Outcome::Unknown,
        Err(failure) => Outcome::Failed { code: failure.code().to_owned(), message: failure.to_string() },
    }
}
