//! Deleting old events.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::OrganizationId;
use crate::store::retention::expiry::{BATCH_SIZE, Deleted};
use crate::store::{Affects, Database, StoreError};

/// Deletes events of an organization that occurred before a point in time, the oldest first, so that what is kept has no
/// gaps.
pub async fn delete_expired(
    db: &Database,
    organization_id: &OrganizationId,
    before: DateTime<Utc>,
) -> Result<Deleted, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query events::delete_expired", |connection| async move {
            // The oldest are taken by their numbers: a condition on the time alone would read the whole log.
            let done = query!(
                "DELETE FROM events
                 WHERE organization_id = $1 AND occurred_at < $2 AND sequence IN (
                     SELECT sequence FROM events WHERE organization_id = $1 ORDER BY sequence LIMIT $3)",
                organization_id.as_str(),
                before,
                BATCH_SIZE,
            )
            .execute(connection)
            .await?;
            Ok(Deleted::of_batch(done.rows_affected()))
        })
        .await
}
