//! Messages that arrived without text and files, and whose files are awaited.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::message::InboundText;
use crate::store::{Affects, Database, StoreError};

/// Remembers an empty message.
pub async fn await_files(db: &Database, text: &InboundText, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query inbound::awaited::await_files", |connection| async move {
            query!(
                "INSERT INTO awaited_files (remote_number, line_number, provider_message_id, carrier_chat, created_at)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (remote_number, line_number, provider_message_id) DO NOTHING",
                text.remote_number.as_str(),
                text.line_number.as_str(),
                text.provider_message_id,
                text.chat,
                now,
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
}

/// The chat of a message that was remembered as empty at or after a point in time; `None` if it was not.
pub async fn awaited_chat(
    db: &Database,
    text: &InboundText,
    since: DateTime<Utc>,
) -> Result<Option<Option<String>>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query inbound::awaited::awaited_chat", |connection| async move {
            let row = query!(
                "SELECT carrier_chat FROM awaited_files
                 WHERE remote_number = $1 AND line_number = $2 AND provider_message_id = $3 AND created_at >= $4",
                text.remote_number.as_str(),
                text.line_number.as_str(),
                text.provider_message_id,
                since,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.carrier_chat))
        })
        .await
}
