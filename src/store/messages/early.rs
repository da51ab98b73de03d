//! Delivery updates that arrive before the send of their message has recorded the carrier's id.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::DeliveryUpdate;
use crate::domain::{DeliveryError, DeliveryStatus, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// Maximum number of updates that are kept: those of an hour of other programs that send from the same account.
const MAX_KEPT: i64 = 10_000;

/// Keeps an update. False if too many are kept.
pub async fn keep_early(db: &Database, update: &DeliveryUpdate) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::early::keep_early", |connection| async move {
            let error = update.error.as_ref();
            let done = query!(
                "INSERT INTO early_statuses (line_number, provider_message_id, status, was_downgraded, error_code,
                                             error_message, created_at)
                 SELECT $1, $2, $3, $4, $5, $6, $7
                 WHERE (SELECT count(*) FROM early_statuses) < $8
                 ON CONFLICT (line_number, provider_message_id, status)
                     DO UPDATE SET created_at = excluded.created_at",
                update.line_number.as_str(),
                update.provider_message_id,
                update.status.number(),
                update.was_downgraded,
                error.map(|error| error.code.as_str()),
                error.map(|error| error.message.as_str()),
                update.now,
                MAX_KEPT,
            )
            .execute(connection)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
}

struct Row {
    status: i16,
    was_downgraded: bool,
    error_code: Option<String>,
    error_message: Option<String>,
    created_at: DateTime<Utc>,
}

/// The updates that were kept for a message, in the order in which they arrived.
pub async fn list_early(
    db: &Database,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<Vec<DeliveryUpdate>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    let rows = session
        .run("query messages::early::list_early", |connection| async move {
            let rows = sqlx::query_as!(
                Row,
                "SELECT status, was_downgraded, error_code, error_message, created_at FROM early_statuses
                 WHERE line_number = $1 AND provider_message_id = $2
                 ORDER BY created_at",
                line_number.as_str(),
                provider_message_id,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows)
        })
        .await?;
    let update = |row: Row| {
        let corrupt = StoreError::Corrupt { table: "early_statuses", column: "status", id: Uuid::nil() };
        Ok(DeliveryUpdate {
            line_number: line_number.clone(),
            provider_message_id: provider_message_id.to_owned(),
            status: DeliveryStatus::from_number(row.status).ok_or(corrupt)?,
            error: row
                .error_code
                .zip(row.error_message)
                .map(|(code, message)| DeliveryError { code, message }),
            was_downgraded: row.was_downgraded,
            now: row.created_at,
        })
    };
    rows.into_iter().map(update).collect()
}
