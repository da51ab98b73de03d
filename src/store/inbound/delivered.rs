//! Recognizing a redelivery.

use sqlx::query;

use super::message::StoredMessage;
use crate::domain::{OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// The message that an earlier delivery of the same carrier message stored in an organization.
pub async fn find_delivered(
    db: &Database,
    organization_id: &OrganizationId,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<Option<StoredMessage>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query inbound::find_delivered", |connection| async move {
            let row = query!(
                "SELECT id, conversation_id, assignment_id FROM messages
             WHERE organization_id = $1 AND line_number = $2 AND provider_message_id = $3",
                organization_id.as_str(),
                line_number.as_str(),
                provider_message_id,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| StoredMessage {
                message_id: row.id.into(),
                conversation_id: row.conversation_id.into(),
                connection_id: row.assignment_id.into(),
            }))
        })
        .await
}
