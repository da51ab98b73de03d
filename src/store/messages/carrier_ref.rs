//! The carrier's references to outbound messages.

use sqlx::query;

use crate::domain::{MessageId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

#[derive(Debug, Clone)]
pub struct CarrierRef {
    pub line_number: PhoneNumber,
    /// The carrier's id of the chat on the connection of the message, if it is known.
    pub chat: Option<String>,
    /// The carrier's id; `None` if the carrier is not known to have accepted the message.
    pub provider_message_id: Option<String>,
}

/// The reference of an outbound message; `None` if there is no such message.
pub async fn find_carrier_ref(
    db: &Database,
    organization_id: &OrganizationId,
    message_id: MessageId,
) -> Result<Option<CarrierRef>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::look_up::dispatch", |connection| async move {
            let row = query!(
                r#"SELECT m.line_number, m.provider_message_id, k.carrier_chat AS "carrier_chat?"
                   FROM messages m
                   LEFT JOIN connections k ON k.organization_id = $1 AND k.id = m.assignment_id
                   WHERE m.organization_id = $1 AND m.id = $2 AND m.direction = 2"#,
                organization_id.as_str(),
                message_id.uuid(),
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| CarrierRef {
                line_number: row.line_number.into(),
                chat: row.carrier_chat,
                provider_message_id: row.provider_message_id,
            }))
        })
        .await
}

/// Those of a carrier's ids that belong to stored messages.
pub async fn known_provider_ids(
    db: &Database,
    line_number: &PhoneNumber,
    provider_message_ids: &[String],
) -> Result<Vec<String>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::look_up::known", |connection| async move {
            let rows = query!(
                "SELECT provider_message_id FROM sent_messages
                 WHERE line_number = $1 AND provider_message_id = ANY ($2)",
                line_number.as_str(),
                provider_message_ids,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| row.provider_message_id).collect())
        })
        .await
}
