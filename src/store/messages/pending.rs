//! Messages whose outcome is unknown.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::{MessageId, OrganizationId};
use crate::store::{Affects, Database, StoreError};

/// The ids of up to `limit` pending messages of an organization that were created in a span of time, the newest first, and
/// whose sends are no longer in progress.
pub async fn list_pending(
    db: &Database,
    organization_id: &OrganizationId,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<MessageId>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::pending::list_pending", |connection| async move {
            let rows = query!(
                "SELECT id FROM messages
                 WHERE organization_id = $1 AND status = 2 AND created_at >= $2 AND created_at < $3
                 ORDER BY created_at DESC, id DESC
                 LIMIT $4",
                organization_id.as_str(),
                since,
                until,
                limit,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| row.id.into()).collect())
        })
        .await
}
