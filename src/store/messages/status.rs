//! Delivery updates of outbound messages.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::{DeliveryError, DeliveryStatus, NewEvent, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// What a carrier reports about a message that it accepted.
#[derive(Debug, Clone)]
pub struct DeliveryUpdate {
    /// The line from which it was sent.
    pub line_number: PhoneNumber,
    pub provider_message_id: String,
    pub status: DeliveryStatus,
    pub error: Option<DeliveryError>,
    /// Whether it was sent as SMS.
    pub was_downgraded: bool,
    /// When the update arrived.
    pub now: DateTime<Utc>,
}

/// The result of a delivery update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// The status of the message now; an outdated update does not change it.
    Status(DeliveryStatus),
    /// The line is not ours.
    UnknownLine,
    /// The line has sent no such message.
    UnknownMessage,
}

/// Applies a delivery update to its message.
pub async fn update_status(db: &Database, update: DeliveryUpdate) -> Result<UpdateOutcome, StoreError> {
    // The message is read and updated under its lock, so that concurrent updates are serialized.
    db.transaction(Affects::named(), "transaction messages::status::update_status", move |connection| {
        let update = update.clone();
        Box::pin(async move {
            let line = query!(
                r#"SELECT s.organization_id AS "organization_id?", s.message_id AS "message_id?"
                   FROM lines l
                   LEFT JOIN sent_messages s ON s.line_number = $1 AND s.provider_message_id = $2
                   WHERE l.number = $1"#,
                update.line_number.as_str(),
                update.provider_message_id,
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(line) = line else { return Ok(UpdateOutcome::UnknownLine) };
            let (Some(organization_id), Some(message_id)) = (line.organization_id, line.message_id) else {
                return Ok(UpdateOutcome::UnknownMessage);
            };
            let organization_id = OrganizationId::from(organization_id);
            connection.mark_affected(&organization_id);
            let message = query!(
                "SELECT status, was_downgraded, agent_identity_id, conversation_id FROM messages
                 WHERE organization_id = $1 AND id = $2 FOR UPDATE",
                organization_id.as_str(),
                message_id,
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(message) = message else { return Ok(UpdateOutcome::UnknownMessage) };
            let current = DeliveryStatus::from_number(message.status).ok_or(StoreError::Corrupt {
                table: "messages",
                column: "status",
                id: message_id,
            })?;
            let advances = current.can_transition_to(update.status);
            let downgrades = update.was_downgraded && !message.was_downgraded;
            if !advances && !downgrades {
                return Ok(UpdateOutcome::Status(current));
            }
            let status = if advances { update.status } else { current };
            let error = update.error.as_ref().filter(|_| advances && status.is_failure());
            query!(
                "UPDATE messages
                 SET status = $3, was_downgraded = $4, error_code = coalesce($5, error_code),
                     error_message = coalesce($6, error_message), updated_at = $7
                 WHERE organization_id = $1 AND id = $2",
                organization_id.as_str(),
                message_id,
                status.number(),
                message.was_downgraded || update.was_downgraded,
                error.map(|error| error.code.as_str()),
                error.map(|error| error.message.as_str()),
                update.now,
            )
            .execute(&mut *connection)
            .await?;
            let event = NewEvent::of_status(
                message.agent_identity_id.into(),
                message.conversation_id.into(),
                message_id.into(),
                current,
                status,
            );
            if let Some(event) = event.filter(|_| advances) {
                connection.log_event(&organization_id, event)?;
            }
            Ok(UpdateOutcome::Status(status))
        })
    })
    .await
}
