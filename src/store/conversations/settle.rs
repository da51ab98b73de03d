//! Takes conversations that were read completely out of the index of those with unread messages.

use sqlx::query;

use crate::domain::OrganizationId;
use crate::store::{Affects, Database, StoreError};

/// Conversations that one statement settles.
const BATCH_SIZE: i64 = 1_000;

/// Raises `clear_settled` to the read horizon where that has moved since the newest message, and returns whether there may
/// be more such conversations. Marking does not do it, so that it stays a heap-only update; the next message does, but
/// where none comes, lists of unread messages would pass the conversation for ever.
pub async fn settle_horizons(db: &Database, organization_id: &OrganizationId) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query conversations::settle::settle_horizons", |connection| async move {
            let done = query!(
                "UPDATE conversations SET clear_settled = clear_read, clear_settled_at = clear_latest_at
                 WHERE organization_id = $1 AND id IN (
                     SELECT id FROM conversations
                     WHERE organization_id = $1 AND clear_received > clear_settled AND clear_read > clear_settled
                     ORDER BY clear_latest_at DESC, id DESC
                     LIMIT $2
                     FOR NO KEY UPDATE SKIP LOCKED)",
                organization_id.as_str(),
                BATCH_SIZE,
            )
            .execute(connection)
            .await?;
            Ok(i64::try_from(done.rows_affected()).unwrap_or(BATCH_SIZE) >= BATCH_SIZE)
        })
        .await
}
