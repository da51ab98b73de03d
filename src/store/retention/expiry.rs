//! Deletes expired idempotency keys and deduplication records in bounded batches, the
//! oldest first.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::OrganizationId;
use crate::store::{Affects, Database, StoreError};

/// Rows that one statement deletes or lists: few enough that its locks are short.
pub(in crate::store) const BATCH_SIZE: i64 = 1_000;

/// What a batch deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// The number of rows.
    pub rows: u64,
    /// Whether there may be more to delete.
    pub more: bool,
}

impl Deleted {
    pub(in crate::store) fn of_batch(rows: u64) -> Self {
        Self { rows, more: i64::try_from(rows).unwrap_or(BATCH_SIZE) >= BATCH_SIZE }
    }
}

/// Deletes idempotency keys of an organization that were created before a point in time.
pub async fn delete_idempotency_keys(
    db: &Database,
    organization_id: &OrganizationId,
    before: DateTime<Utc>,
) -> Result<Deleted, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query sweeps::idempotency_keys", |connection| async move {
            let done = query!(
                "DELETE FROM idempotency_keys
                 WHERE organization_id = $1 AND (agent_identity_id, key) IN (
                     SELECT agent_identity_id, key FROM idempotency_keys
                     WHERE organization_id = $1 AND created_at < $2
                     ORDER BY created_at
                     LIMIT $3)",
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

/// A function that deletes the oldest rows of a global table. The parameters of the statement are `$1` the
/// time before which rows are expired, and `$2` the number of rows.
macro_rules! delete_expired {
    ($(#[$doc:meta])* $name:ident, $span:literal, $statement:literal) => {
        $(#[$doc])*
        pub async fn $name(db: &Database, before: DateTime<Utc>) -> Result<Deleted, StoreError> {
            let mut session = db.acquire(Affects::None).await?;
            session
                .run($span, |connection| async move {
                    let done = query!($statement, before, BATCH_SIZE).execute(connection).await?;
                    Ok(Deleted::of_batch(done.rows_affected()))
                })
                .await
        }
    };
}

delete_expired!(
    /// Deletes router commands that were executed before a point in time.
    delete_router_commands,
    "query sweeps::router_commands",
    "DELETE FROM router_commands
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM router_commands
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

delete_expired!(
    /// Deletes the lookup entries of messages that were sent before a point in time.
    delete_sent_messages,
    "query sweeps::sent_messages",
    "DELETE FROM sent_messages
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM sent_messages
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

delete_expired!(
    /// Deletes the records of tapback texts that arrived before a point in time.
    delete_tapback_texts,
    "query sweeps::tapback_texts",
    "DELETE FROM tapback_texts
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM tapback_texts
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

delete_expired!(
    /// Deletes the records of inbound messages that were purged before a point in time.
    delete_forgotten_texts,
    "query sweeps::forgotten_texts",
    "DELETE FROM forgotten_texts
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM forgotten_texts
                     WHERE forgotten_at < $1
                     ORDER BY forgotten_at
                     LIMIT $2)"
);

delete_expired!(
    /// Deletes the empty messages that were remembered before a point in time.
    delete_awaited_files,
    "query sweeps::awaited_files",
    "DELETE FROM awaited_files
                 WHERE (remote_number, line_number, provider_message_id) IN (
                     SELECT remote_number, line_number, provider_message_id FROM awaited_files
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

delete_expired!(
    /// Deletes the early delivery updates that arrived before a point in time.
    delete_early_statuses,
    "query sweeps::early_statuses",
    "DELETE FROM early_statuses
                 WHERE (line_number, provider_message_id, status) IN (
                     SELECT line_number, provider_message_id, status FROM early_statuses
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT $2)"
);

/// The next organizations after an id, in the order of their ids.
pub async fn list_organizations(db: &Database, after: &str) -> Result<Vec<OrganizationId>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query sweeps::organizations_after", |connection| async move {
            let rows =
                query!("SELECT id FROM organizations WHERE id > $1 ORDER BY id LIMIT $2", after, BATCH_SIZE)
                    .fetch_all(connection)
                    .await?;
            Ok(rows.into_iter().map(|row| row.id.into()).collect())
        })
        .await
}
