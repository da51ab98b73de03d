//! Idempotency: a repeated send returns the outcome of the first one and sends nothing. A send that the carrier surely did
//! not take, and that a retry can cure, is no outcome: its key is free again.

use super::reconcile::{max_send_duration, reconcile_by_id};
use crate::app::App;
use crate::carriers::CarrierError;
use crate::domain::{DeliveryStatus, IdempotencyKey, IdentityId, Message, OrganizationId, View};
use crate::error::{Error, Result};
use crate::store::messages;

/// The outcome of the first send with this key: its message, or its permanent failure as an error. `None` if there was
/// no such send, or if the key is free again.
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
    let read = async || {
        messages::get_from_primary(&app.db, organization_id, Some(identity_id), View::All, first.message_id)
            .await
    };
    let free = async || {
        messages::free_idempotency_key(&app.db, organization_id, identity_id, &key.key, first.message_id)
            .await
    };
    if first.request_digest != key.request_digest {
        let Some(message) = read().await? else { return Err(Error::IdempotencyKeyReused) };
        return match rejection(app, organization_id, &message).await? {
            Some(CarrierError::Transient { .. }) => Ok(free().await.map(|()| None)?),
            _ => Err(Error::IdempotencyKeyReused),
        };
    }
    let age = (app.clock.now() - first.created_at).to_std().unwrap_or_default();
    let remaining = max_send_duration(app.limits.line_time_out).checked_sub(age);
    if let (false, Some(retry_after)) = (first.finished, remaining) {
        return Err(Error::IdempotencyInProgress { retry_after });
    }
    // An erasure deletes a message before its key.
    let Some(mut message) = read().await? else { return Ok(None) };
    if message.status == DeliveryStatus::Pending {
        reconcile_by_id(app, organization_id, message.id).await?;
        let Some(reconciled) = read().await? else { return Ok(None) };
        message = reconciled;
    }
    match rejection(app, organization_id, &message).await? {
        None => Ok(Some(message)),
        Some(CarrierError::Transient { .. }) => Ok(free().await.map(|()| None)?),
        Some(permanent) => Err(permanent.into()),
    }
}

/// Why the carrier did not take a message; `None` if it did, or may have. A message that the carrier accepted and failed to
/// deliver later is an outcome like any other.
async fn rejection(
    app: &App,
    organization_id: &OrganizationId,
    message: &Message,
) -> Result<Option<CarrierError>> {
    let (DeliveryStatus::Error, Some(error)) = (message.status, &message.error) else { return Ok(None) };
    let sent = messages::find_carrier_ref(&app.db, organization_id, message.id).await?;
    let was_taken = sent.is_none_or(|sent| sent.provider_message_id.is_some());
    Ok((!was_taken).then(|| CarrierError::of_code(&error.code)))
}
