//! What is needed to ask a carrier about a message again.

use sqlx::query;

use crate::domain::{MessageId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// Where a message went, and how far.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The line it was handed to.
    pub line_number: PhoneNumber,
    /// The carrier's id of it; `None` where the carrier never accepted it, as far as is known.
    pub provider_message_id: Option<String>,
}

/// Finds where an outbound message went.
pub async fn dispatch(
    db: &Database,
    organization_id: &OrganizationId,
    message_id: MessageId,
) -> Result<Option<Dispatch>, StoreError> {
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
            Ok(row.map(|row| Dispatch {
                line_number: row.line_number.into(),
                provider_message_id: row.provider_message_id,
            }))
        })
        .await
}

/// Which of these ids of a carrier belong to messages of ours already.
pub async fn known(
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
