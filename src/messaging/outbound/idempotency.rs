//! Idempotency: a repeated send returns the outcome of the first one and sends nothing.

use super::reconcile::{max_send_duration, reconcile_pending};
use crate::app::App;
use crate::carriers::CarrierError;
use crate::domain::{DeliveryStatus, IdempotencyKey, IdentityId, Message, OrganizationId, View};
use crate::error::{Error, Result};
use crate::store::messages;

/// The outcome of the first send with this key: its message, or its permanent failure as an error. `None` if there was
/// no such send.
///
/// # Errors
/// `IdempotencyKeyReused`, `IdempotencyInProgress`, `Overloaded`, `UpstreamFailed` and `NotSupportedByCarrier` as the first send.
pub(super) async fn replay(
    app: &App,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Message>> {
    let Some(key) = key else { return Ok(None) };
    let first = messages::find_idempotency_record(&app.db, organization_id, identity_id, &key.key).await?;
    let Some(first) = first else { return Ok(None) };
    if first.request_digest != key.request_digest {
        return Err(Error::IdempotencyKeyReused);
    }
    let age = (app.clock.now() - first.created_at).to_std().unwrap_or_default();
    let remaining = max_send_duration(app.limits.line_time_out).checked_sub(age);
    if let (false, Some(retry_after)) = (first.finished, remaining) {
        return Err(Error::IdempotencyInProgress { retry_after });
    }
    let read = async || {
        messages::get_from_primary(&app.db, organization_id, Some(identity_id), View::All, first.message_id)
            .await
    };
    // An erasure deletes a message before its key.
    let Some(mut message) = read().await? else { return Ok(None) };
    if message.status == DeliveryStatus::Pending {
        // One call at a time, so that two pending messages with the same content do not adopt the same one at the carrier.
        let turn = app.queues.enter(organization_id, message.conversation_id).await?;
        let Some(current) = read().await? else { return Ok(None) };
        message = current;
        if message.status == DeliveryStatus::Pending
            && reconcile_pending(app, organization_id, &message).await?
        {
            let Some(reconciled) = read().await? else { return Ok(None) };
            message = reconciled;
        }
        drop(turn);
    }
    if let (DeliveryStatus::Error, Some(error)) = (message.status, &message.error) {
        let sent = messages::find_carrier_ref(&app.db, organization_id, message.id).await?;
        // A message that the carrier accepted and failed to deliver later is returned with its status. Only a send that
        // the carrier rejected fails again.
        if sent.is_some_and(|sent| sent.provider_message_id.is_none()) {
            return Err(CarrierError::of_code(&error.code).into());
        }
    }
    Ok(Some(message))
}
