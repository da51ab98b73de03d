//! Purges the messages of discarded conversations, with the rows that refer to them.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::domain::{ConversationId, Direction, OrganizationId};
use crate::store::retention::first_id_of;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// Messages that one transaction deletes.
const BATCH_SIZE: i64 = 500;
/// Conversations per page.
const PAGE_SIZE: i64 = 100;

/// How many rows a batch deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Messages.
    pub messages: u64,
    /// Reactions on the messages.
    pub reactions: u64,
    /// Idempotency keys of the messages.
    pub idempotency_keys: u64,
    /// Whether there may be more messages.
    pub more: bool,
}

/// A page of discarded conversations that are not completely purged, optionally of one organization and after one of them.
pub async fn list_discarded(
    db: &Database,
    organization_id: Option<&OrganizationId>,
    after: Option<(OrganizationId, ConversationId)>,
) -> Result<Vec<(OrganizationId, ConversationId)>, StoreError> {
    let (after_organization, after_conversation) =
        after.map_or_else(|| (String::new(), Uuid::nil()), |(owner, id)| (owner.to_string(), id.uuid()));
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query erasure::purge::some_discarded", |connection| async move {
            let rows = query!(
                "SELECT organization_id, conversation_id FROM discarded_conversations
                 WHERE ($1::text IS NULL OR organization_id = $1)
                   AND (organization_id, conversation_id) > ($2, $3)
                 ORDER BY organization_id, conversation_id
                 LIMIT $4",
                organization_id.map(OrganizationId::as_str),
                after_organization,
                after_conversation,
                PAGE_SIZE,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| (row.organization_id.into(), row.conversation_id.into())).collect())
        })
        .await
}

/// Deletes the next batch of messages of a discarded conversation. The last batch also removes it from the
/// list of discarded conversations. Of inbound messages that arrived after `redelivered_since`, line and
/// provider message id are kept in `forgotten_texts`, so that a redelivery is still recognised. A concurrent
/// purge of the same conversation waits and then continues with the remaining messages.
pub async fn purge(
    db: &Database,
    organization_id: &OrganizationId,
    conversation_id: ConversationId,
    redelivered_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Purged, StoreError> {
    let owner = organization_id.clone();
    // One transaction, so that no row refers to a deleted message and an inbound message is always either
    // stored or forgotten.
    db.transaction(
        Affects::organization(organization_id),
        "transaction erasure::purge::purge",
        move |connection| {
            let organization_id = owner.clone();
            Box::pin(async move {
                let listed = query!(
                    "SELECT conversation_id FROM discarded_conversations
                 WHERE organization_id = $1 AND conversation_id = $2
                 FOR UPDATE",
                    organization_id.as_str(),
                    conversation_id.uuid(),
                )
                .fetch_optional(&mut *connection)
                .await?;
                if listed.is_none() {
                    return Ok(Purged::default());
                }
                let batch = lock_batch(connection, &organization_id, conversation_id).await?;
                record_forgotten(connection, &batch, first_id_of(redelivered_since), now).await?;
                let mut purged = delete(connection, &organization_id, &batch).await?;
                purged.more = i64::try_from(batch.len()).unwrap_or(BATCH_SIZE) >= BATCH_SIZE;
                if !purged.more {
                    query!(
                    "DELETE FROM discarded_conversations WHERE organization_id = $1 AND conversation_id = $2",
                    organization_id.as_str(),
                    conversation_id.uuid(),
                )
                .execute(connection)
                .await?;
                }
                Ok(purged)
            })
        },
    )
    .await
}

struct PurgedMessage {
    id: Uuid,
    direction: i16,
    line_number: String,
    provider_message_id: Option<String>,
}

/// Selects and locks the next messages. A reaction that is concurrently added to one of them waits and then
/// finds no message.
async fn lock_batch(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    conversation_id: ConversationId,
) -> Result<Vec<PurgedMessage>, StoreError> {
    let rows = sqlx::query_as!(
        PurgedMessage,
        "SELECT id, direction, line_number, provider_message_id FROM messages
         WHERE organization_id = $1 AND conversation_id = $2
         LIMIT $3
         FOR UPDATE",
        organization_id.as_str(),
        conversation_id.uuid(),
        BATCH_SIZE,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Records the recent inbound messages of a batch for deduplication.
async fn record_forgotten(
    connection: &mut DbConnection,
    batch: &[PurgedMessage],
    since: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (lines, ids): (Vec<_>, Vec<_>) = batch
        .iter()
        .filter(|message| message.direction == Direction::Inbound.number() && message.id >= since)
        .filter_map(|message| Some((message.line_number.clone(), message.provider_message_id.clone()?)))
        .unzip();
    query!(
        r#"INSERT INTO forgotten_texts (line_number, provider_message_id, forgotten_at)
           SELECT line_number, provider_message_id, $3
           FROM unnest($1::text[], $2::text[]) AS text (line_number, provider_message_id)
           ON CONFLICT (line_number, provider_message_id) DO NOTHING"#,
        &lines,
        &ids,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    batch: &[PurgedMessage],
) -> Result<Purged, StoreError> {
    let ids: Vec<Uuid> = batch.iter().map(|message| message.id).collect();
    let (lines, provider_ids): (Vec<_>, Vec<_>) = batch
        .iter()
        .filter(|message| message.direction == Direction::Outbound.number())
        .filter_map(|message| Some((message.line_number.clone(), message.provider_message_id.clone()?)))
        .unzip();
    query!(
        "DELETE FROM sent_messages
         WHERE (line_number, provider_message_id) IN (SELECT line, id FROM unnest($1::text[], $2::text[]) AS sent (line, id))
           AND organization_id = $3",
        &lines,
        &provider_ids,
        organization_id.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    let idempotency_keys = query!(
        "DELETE FROM idempotency_keys WHERE organization_id = $1 AND message_id = ANY ($2)",
        organization_id.as_str(),
        &ids,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let reactions = query!(
        "DELETE FROM reactions WHERE organization_id = $1 AND message_id = ANY ($2)",
        organization_id.as_str(),
        &ids,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let messages = query!(
        "DELETE FROM messages WHERE organization_id = $1 AND id = ANY ($2)",
        organization_id.as_str(),
        &ids,
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok(Purged { messages, reactions, idempotency_keys, more: false })
}
