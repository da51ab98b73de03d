//! The carrier's references to outbound messages.

use sqlx::query;

use crate::domain::{MessageId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

#[derive(Debug, Clone)]
pub struct CarrierRef {
    pub line_number: PhoneNumber,
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
                "SELECT line_number, provider_message_id FROM messages
                 WHERE organization_id = $1 AND id = $2 AND direction = 2",
                organization_id.as_str(),
                message_id.uuid(),
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| CarrierRef {
                line_number: row.line_number.into(),
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
