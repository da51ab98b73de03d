//! Storing messages that a person sent by hand from the account of a line.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::append::{AppendOutcome, create_conversation};
use super::message::NewInbound;
use crate::domain::{ConversationId, MessageId, OrganizationId};
use crate::store::messages::ONE_PER_PROVIDER_ID;
use crate::store::messages::append::{Kind, Locked, NewMessage, append};
use crate::store::tapback_texts::BLANKS;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// The key by which a carrier's id of a sent message is used once per line, whatever organization sent it.
const ONE_PER_SENT_ID: &str = "sent_messages_pkey";

/// What identifies a message of this service whose carrier's id is not recorded.
#[derive(Debug, Clone, Copy)]
pub struct OwnMessage<'a> {
    pub conversation_id: ConversationId,
    /// The id that this service gave it, if the carrier reports one.
    pub id: Option<Uuid>,
    pub text: Option<&'a str>,
    /// Older messages are not considered.
    pub since: DateTime<Utc>,
}

/// A message of this service that may be the one that was looked for.
#[derive(Debug, Clone, Copy)]
pub struct OwnFound {
    pub id: MessageId,
    /// Whether it certainly is, and nobody knows yet that it was sent: its send got no answer and is over.
    pub awaits_id: bool,
}

/// A message that this service has sent, or may have. Messages that the carrier rejected were not sent.
pub async fn find_own_message(
    db: &Database,
    organization_id: &OrganizationId,
    own: OwnMessage<'_>,
) -> Result<Option<OwnFound>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query inbound::by_hand::is_own_message", |connection| async move {
            let row = query!(
                r#"SELECT id, coalesce(status = 2 AND (in_flight_until IS NULL OR in_flight_until <= clock_timestamp())
                                       AND (id = $4 OR count(*) OVER () = 1), false) AS "awaits_id!"
                   FROM messages
                   WHERE organization_id = $1 AND conversation_id = $2 AND direction = 2 AND created_at >= $3
                     AND origin = 1
                     AND (id = $4 OR (provider_message_id IS NULL AND status NOT IN (7, 8)
                                      AND btrim(coalesce(text, ''), $6) = btrim(coalesce($5, ''), $6)))
                   ORDER BY id = $4 DESC NULLS LAST
                   LIMIT 1"#,
                organization_id.as_str(),
                own.conversation_id.uuid(),
                own.since,
                own.id,
                own.text,
                BLANKS,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| OwnFound { id: row.id.into(), awaits_id: row.awaits_id }))
        })
        .await
}

/// Stores the message as sent. Creates the conversation if it is the first message.
pub async fn store_sent_by_hand(db: &Database, new: NewInbound) -> Result<AppendOutcome, StoreError> {
    let (new, affects) = (Arc::new(new.clone()), Affects::organization(&new.to.organization_id));
    // The message, its conversation, and the entry that finds it for delivery updates must agree.
    let stored =
        db.transaction(affects, "transaction inbound::by_hand::store_sent_by_hand", move |connection| {
            let new = new.clone();
            Box::pin(async move { store_in(connection, &new).await })
        });
    match stored.await {
        Err(error) if error.violates(ONE_PER_PROVIDER_ID) || error.violates(ONE_PER_SENT_ID) => {
            Ok(AppendOutcome::Delivered)
        }
        other => other,
    }
}

async fn store_in(connection: &mut DbConnection, new: &NewInbound) -> Result<AppendOutcome, StoreError> {
    let organization_id = &new.to.organization_id;
    let Some(conversation_id) = create_conversation(connection, new).await? else {
        return Ok(AppendOutcome::Stale);
    };
    // A keyword that ends messages is one only from the human.
    let messages = vec![NewMessage { keyword: None, ..new.message(conversation_id) }];
    let appended = append(connection, organization_id, Kind::ByHand, Locked::Wait, messages).await?;
    if appended.is_empty() {
        return Ok(AppendOutcome::Stale);
    }
    query!(
        "INSERT INTO sent_messages (line_number, provider_message_id, organization_id, message_id, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        new.text.line_number.as_str(),
        new.text.provider_message_id,
        organization_id.as_str(),
        new.message_id.uuid(),
        new.now,
    )
    .execute(connection)
    .await?;
    Ok(AppendOutcome::Stored(new.stored_in(conversation_id)))
}
