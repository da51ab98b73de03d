//! Removing what events say of erased conversations and connections.

use sqlx::query;

use crate::domain::OrganizationId;
use crate::store::{Affects, Database, StoreError};

/// Events that one statement looks at.
const BATCH_SIZE: i64 = 5_000;

/// Removes the references of events whose conversation or connection no longer exists, among the next events after a number.
/// The events themselves stay, so that the numbers have no gaps; they are shown to nobody. Returns the number to go on after;
/// `None` at the end of the log.
pub async fn forget_erased(
    db: &Database,
    organization_id: &OrganizationId,
    after: i64,
) -> Result<Option<i64>, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query events::forget_erased", |connection| async move {
            query!(
                "UPDATE events e
                 SET conversation_id = NULL, connection_id = NULL, message_id = NULL, reaction_id = NULL
                 WHERE e.organization_id = $1 AND e.sequence > $2 AND e.sequence <= $2 + $3
                   AND (e.conversation_id IS NOT NULL OR e.connection_id IS NOT NULL)
                   AND (e.conversation_id IS NULL
                        OR NOT EXISTS (SELECT c.id FROM conversations c
                                       WHERE c.organization_id = $1 AND c.id = e.conversation_id))
                   AND (e.connection_id IS NULL
                        OR NOT EXISTS (SELECT k.id FROM connections k
                                       WHERE k.organization_id = $1 AND k.id = e.connection_id))",
                organization_id.as_str(),
                after,
                BATCH_SIZE,
            )
            .execute(&mut *connection)
            .await?;
            let next = query!(
                "SELECT sequence FROM events WHERE organization_id = $1 AND sequence > $2
                 ORDER BY sequence LIMIT 1",
                organization_id.as_str(),
                after + BATCH_SIZE,
            )
            .fetch_optional(connection)
            .await?;
            Ok(next.map(|row| row.sequence - 1))
        })
        .await
}
