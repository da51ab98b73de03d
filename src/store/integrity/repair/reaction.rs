//! Repair of a reaction from its message.

use sqlx::query;
use uuid::Uuid;

use crate::domain::OrganizationId;
use crate::store::{DbConnection, StoreError};

/// Gives a reaction the conversation of its message. One that was put while two conversations of a human were merged has
/// that of the one which is gone.
pub(super) async fn reassign(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    id: Uuid,
) -> Result<u64, StoreError> {
    let done = query!(
        "UPDATE reactions r SET conversation_id = m.conversation_id
         FROM messages m
         WHERE r.organization_id = $1 AND r.id = $2 AND m.organization_id = $1 AND m.id = r.message_id
           AND r.conversation_id <> m.conversation_id",
        organization_id.as_str(),
        id,
    )
    .execute(link)
    .await?;
    Ok(done.rows_affected())
}
