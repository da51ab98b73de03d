//! Messages whose outcome is unknown.

use std::ops::Range;

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::{MessageId, OrganizationId};
use crate::store::{Affects, Database, StoreError};

/// Takes up to `limit` pending messages of an organization for a look-up at their carriers, those first that were not looked
/// up for the longest time. They were created in a span of time, so that their sends are no longer in progress. The next
/// look-up of each is due when its age has doubled, an hour later at most.
pub async fn take_pending(
    db: &Database,
    organization_id: &OrganizationId,
    span: Range<DateTime<Utc>>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<MessageId>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::pending::take_pending", |connection| async move {
            let rows = query!(
                // Materialized, or the rows might be chosen more than once, and the limit exceeded.
                "WITH due AS MATERIALIZED (
                     SELECT id FROM messages
                     WHERE organization_id = $1 AND status = 2 AND created_at >= $2 AND created_at < $3
                       AND (look_up_at IS NULL OR look_up_at <= $4)
                     ORDER BY look_up_at NULLS FIRST, created_at, id
                     LIMIT $5
                     FOR UPDATE SKIP LOCKED)
                 UPDATE messages m SET look_up_at = $4::timestamptz
                     + least(greatest($4 - m.created_at, interval '1 minute'), interval '1 hour')
                 FROM due
                 WHERE m.organization_id = $1 AND m.id = due.id
                 RETURNING m.id",
                organization_id.as_str(),
                span.start,
                span.end,
                now,
                limit,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| row.id.into()).collect())
        })
        .await
}
