//! News of what became of an outbound message.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::{DeliveryError, DeliveryStatus, OrganizationId, PhoneNumber};
use crate::error::{Error, Resource};
use crate::store::{Affects, Database, StoreError};

/// What a carrier says of a message that it took.
#[derive(Debug, Clone)]
pub struct DeliveryUpdate {
    /// The line it was sent from.
    pub line_number: PhoneNumber,
    /// The carrier's id of it.
    pub provider_message_id: String,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// Why it failed.
    pub error: Option<DeliveryError>,
    /// Whether it went as SMS.
    pub was_downgraded: bool,
    /// When the news came.
    pub now: DateTime<Utc>,
}

/// Takes the news in and returns where the message stands then; news of the past changes no status.
///
/// # Errors
/// `NotFound` when the line is not ours, or knows no such message.
pub async fn update_status(db: &Database, news: DeliveryUpdate) -> Result<DeliveryStatus, StoreError> {
    // The message is read and written under its lock, so that two pieces of news cannot cross.
    db.transaction(Affects::named(), "transaction messages::status::update_status", move |connection| {
        let news = news.clone();
        Box::pin(async move {
            let line = query!(
                r#"SELECT s.organization_id AS "organization_id?", s.message_id AS "message_id?"
                   FROM lines l
                   LEFT JOIN sent_messages s ON s.line_number = $1 AND s.provider_message_id = $2
                   WHERE l.number = $1"#,
                news.line_number.as_str(),
                news.provider_message_id,
            )
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(Error::NotFound(Resource::Line))?;
            let (Some(organization_id), Some(message_id)) = (line.organization_id, line.message_id) else {
                return Err(Error::NotFound(Resource::Message).into());
            };
            let organization_id = OrganizationId::from(organization_id);
            connection.mark_affected(&organization_id);
            let message = query!(
                "SELECT status, was_downgraded FROM messages WHERE organization_id = $1 AND id = $2 FOR UPDATE",
                organization_id.as_str(),
                message_id,
            )
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(Error::NotFound(Resource::Message))?;
            let stands = DeliveryStatus::from_number(message.status).ok_or(StoreError::Corrupt {
                table: "messages",
                column: "status",
                id: message_id,
            })?;
            let moves_on = stands.can_transition_to(news.status);
            let downgrades = news.was_downgraded && !message.was_downgraded;
            if !moves_on && !downgrades {
                return Ok(stands);
            }
            let status = if moves_on { news.status } else { stands };
            let error = news.error.as_ref().filter(|_| moves_on && status.is_failure());
            query!(
                "UPDATE messages
                 SET status = $3, was_downgraded = $4, error_code = coalesce($5, error_code),
                     error_message = coalesce($6, error_message), updated_at = $7
                 WHERE organization_id = $1 AND id = $2",
                organization_id.as_str(),
                message_id,
                status.number(),
                message.was_downgraded || news.was_downgraded,
                error.map(|error| error.code.as_str()),
                error.map(|error| error.message.as_str()),
                news.now,
            )
            .execute(connection)
            .await?;
            Ok(status)
        })
    })
    .await
}
