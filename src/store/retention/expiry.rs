//! Removing what has had its time, a bounded batch at a time.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::OrganizationId;
use crate::store::{Database, Failure};

/// Most rows that one statement removes: short enough to stand in nobody's way.
const BATCH: i64 = 1_000;

/// Removes the oldest idempotency keys of an organization that began before a time; true when there may be more.
pub async fn idempotency_keys(
    db: &Database,
    organization_id: &OrganizationId,
    before: DateTime<Utc>,
) -> Result<bool, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
            let done = query!(
                "DELETE FROM idempotency_keys
                 WHERE organization_id = $1 AND (agent_identity_id, key) IN (
                     SELECT agent_identity_id, key FROM idempotency_keys
                     WHERE organization_id = $1 AND created_at < $2
                     ORDER BY created_at
                     LIMIT $3)",
                organization_id.as_str(),
                before,
                BATCH,
            )
            .execute(connection)
            .await?;
            Ok(more(done.rows_affected()))
        })
        .await
}

/// A function that removes the oldest rows of a table of lines' texts; its statement takes a time and a number of rows.
macro_rules! sweep {
    ($(#[$doc:meta])* $name:ident, $statement:literal) => {
        $(#[$doc])*
        pub async fn $name(db: &Database, before: DateTime<Utc>) -> Result<bool, Failure> {
            let mut session = db.look_up().await?;
            session
                .run(|connection| async move {
                    let done = query!($statement, before, BATCH).execute(connection).await?;
                    Ok(more(done.rows_affected()))
                })
                .await
        }
    };
}

sweep!(
    /// Removes the oldest router commands that were acted on before a time; true when there may be more.
    router_commands,
    "DELETE FROM router_commands
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM router_commands
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

sweep!(
    /// Removes the oldest entries that find a sent message for its carrier; true when there may be more.
    sent_messages,
    "DELETE FROM sent_messages
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM sent_messages
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

sweep!(
    /// Removes the oldest notes of texts that were taken as tapbacks; true when there may be more.
    tapback_texts,
    "DELETE FROM tapback_texts
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM tapback_texts
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

sweep!(
    /// Removes the oldest marks of texts that were deleted before a time; true when there may be more.
    forgotten_texts,
    "DELETE FROM forgotten_texts
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM forgotten_texts
                     WHERE forgotten_at < $1
                     ORDER BY forgotten_at
                     LIMIT $2)"
);

fn more(removed: u64) -> bool {
    i64::try_from(removed).unwrap_or(BATCH) >= BATCH
}

/// The organizations after one, in the order of their ids, a bounded number at a time.
pub async fn organizations_after(db: &Database, after: &str) -> Result<Vec<OrganizationId>, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
            let rows =
                query!("SELECT id FROM organizations WHERE id > $1 ORDER BY id LIMIT $2", after, BATCH)
                    .fetch_all(connection)
                    .await?;
            Ok(rows.into_iter().map(|row| row.id.into()).collect())
        })
        .await
}
