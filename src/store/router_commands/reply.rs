//! Replies of the router line: stored in the transaction of their command, and sent from here.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query_as;

use super::CommandRequest;
use crate::domain::PhoneNumber;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// How long a human who got help, or a refusal, does not get the same again. People ask twice within minutes; two machines
/// that answer each other do so within seconds.
const LIMITED_INTERVAL: TimeDelta = TimeDelta::minutes(5);
/// Age at which a reply is not sent any more: the human has tried again, or has given up.
const MAX_AGE: TimeDelta = TimeDelta::minutes(10);

/// A reply to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReply {
    pub text: String,
    /// Whether it answers a text that is no valid command, so that the same is not said again for a while.
    pub is_limited: bool,
}

/// A reply that the caller must send now.
#[derive(Debug, Clone)]
pub struct DueReply {
    pub line_number: PhoneNumber,
    pub provider_message_id: String,
    pub remote_number: PhoneNumber,
    /// The carrier's id of the chat, if it has one.
    pub chat: Option<String>,
    pub text: String,
}

struct Row {
    line_number: String,
    provider_message_id: String,
    remote_number: String,
    carrier_chat: Option<String>,
    reply: String,
}

impl From<Row> for DueReply {
    fn from(row: Row) -> Self {
        Self {
            line_number: row.line_number.into(),
            provider_message_id: row.provider_message_id,
            remote_number: row.remote_number.into(),
            chat: row.carrier_chat,
            text: row.reply,
        }
    }
}

/// Stores the reply to a command in its transaction. A limited reply that the human had a few minutes ago is not
/// repeated.
pub(super) async fn store_in(
    connection: &mut DbConnection,
    request: &CommandRequest,
    chat: Option<&str>,
    reply: &NewReply,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO router_replies (line_number, provider_message_id, remote_number, carrier_chat, reply, is_help,
                                     created_at, due_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $7
         WHERE NOT $6 OR NOT EXISTS (
             SELECT FROM router_replies
             WHERE remote_number = $3 AND line_number = $1 AND is_help AND reply = $5 AND created_at > $8)",
        request.line_number.as_str(),
        request.provider_message_id,
        request.remote_number.as_str(),
        chat,
        reply.text,
        reply.is_limited,
        request.now,
        request.now - LIMITED_INTERVAL,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the human got a reply from the line later than this time.
pub async fn has_later_reply(
    db: &Database,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query router_commands::reply::has_later_reply", |connection| async move {
            let row = sqlx::query!(
                r#"SELECT EXISTS (
                       SELECT created_at FROM router_replies
                       WHERE line_number = $1 AND remote_number = $2 AND created_at > $3) AS "later!""#,
                line_number.as_str(),
                remote_number.as_str(),
                at,
            )
            .fetch_one(connection)
            .await?;
            Ok(row.later)
        })
        .await
}

/// Takes the reply that is due first for sending, for at most `max_duration`. `None` if none is due.
pub async fn take_due_reply(
    db: &Database,
    now: DateTime<Utc>,
    max_duration: Duration,
) -> Result<Option<DueReply>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query router_commands::reply::take_due_reply", |connection| async move {
            let row = query_as!(
                Row,
                // Materialized, or more than one row might be chosen.
                "WITH due AS MATERIALIZED (
                     SELECT line_number, provider_message_id FROM router_replies
                     WHERE due_at <= $1 AND created_at > $3
                     ORDER BY due_at
                     LIMIT 1
                     FOR UPDATE SKIP LOCKED)
                 UPDATE router_replies r SET due_at = $1::timestamptz + make_interval(secs => $2)
                 FROM due
                 WHERE r.line_number = due.line_number AND r.provider_message_id = due.provider_message_id
                 RETURNING r.line_number, r.provider_message_id, r.remote_number, r.carrier_chat, r.reply",
                now,
                max_duration.as_secs_f64(),
                now - MAX_AGE,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(DueReply::from))
        })
        .await
}

/// Records that a reply was sent, or may have been (`None`), or when it is to be tried again.
pub async fn settle_reply(
    db: &Database,
    reply: &DueReply,
    due_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query router_commands::reply::settle_reply", |connection| async move {
            sqlx::query!(
                "UPDATE router_replies SET due_at = $3 WHERE line_number = $1 AND provider_message_id = $2",
                reply.line_number.as_str(),
                reply.provider_message_id,
                due_at,
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
}

/// Deletes replies that are too old to be sent or to limit help.
pub async fn delete_old_replies(db: &Database, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query router_commands::reply::delete_old_replies", |connection| async move {
            sqlx::query!(
                "DELETE FROM router_replies
                 WHERE (line_number, provider_message_id) IN (
                     SELECT line_number, provider_message_id FROM router_replies
                     WHERE created_at < $1
                     ORDER BY created_at
                     LIMIT 1000)",
                now - MAX_AGE,
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
}
