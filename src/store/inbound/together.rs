//! Storing texts of the same moment in one statement, where they are for different conversations.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::query_scalar;
use uuid::Uuid;

use super::NewInbound;
use crate::domain::{ConversationId, DeliveryStatus, Direction, OrganizationId, preview};
use crate::store::gathered::{Answers, Shared};
use crate::store::{Affects, DbConnection, StoreError};

/// Texts that agents see, to conversations of an organization that exist: whether each was stored. Nothing was done for
/// one that was not. Another transaction has the conversation, or another text of the statement is for it, or the
/// connection is not its active one; or the database refused one of the texts, whichever.
pub(in crate::store) struct StoreText;

/// A text, and its conversation.
pub(in crate::store) struct TextIn {
    pub(super) new: Arc<NewInbound>,
    pub(super) conversation_id: ConversationId,
}

impl Shared for StoreText {
    type Group = OrganizationId;
    type Item = TextIn;
    type Answer = bool;

    fn affects(organization_id: &OrganizationId) -> Affects {
        Affects::organization(organization_id)
    }

    fn run<'a>(
        link: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        texts: &'a [TextIn],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>> {
        Box::pin(async move {
            let stored = if link.is_distributed() {
                HashSet::new()
            } else {
                match store_together(link, organization_id, texts).await {
                    Ok(stored) => stored,
                    Err(failure) if failure.broke_connection() => return Err(failure),
                    // What one of them is refused for is no matter of the others.
                    Err(failure) => {
                        tracing::debug!(error = %failure, texts = texts.len(), "not stored together");
                        HashSet::new()
                    }
                }
            };
            Ok(texts.iter().map(|text| Ok(stored.contains(&text.new.message_id.uuid()))).collect())
        })
    }
}

/// Moves the summaries and adds the messages, while each connection is its conversation's active one; gives the ids of
/// those that were: of several texts for one conversation one, since an UPDATE changes a row once. Passes over
/// conversations that another transaction has: nobody waits for a row of somebody else's, and transactions that take rows
/// in another order meet no deadlock.
async fn store_together(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    texts: &[TextIn],
) -> Result<HashSet<Uuid>, StoreError> {
    let new = || texts.iter().map(|text| text.new.as_ref());
    let conversations: Vec<Uuid> = texts.iter().map(|text| text.conversation_id.uuid()).collect();
    let connections: Vec<Uuid> = new().map(|new| new.to.connection_id.uuid()).collect();
    let messages: Vec<Uuid> = new().map(|new| new.message_id.uuid()).collect();
    let media: Vec<Option<Value>> = new().map(|new| new.text.media_as_stored()).collect();
    let sent_at: Vec<DateTime<Utc>> = new().map(|new| new.text.sent_at).collect();
    let previews: Vec<Option<&str>> = new().map(|new| new.text.text.as_deref().map(preview)).collect();
    let arrived_at: Vec<DateTime<Utc>> = new().map(|new| new.now).collect();
    let lines: Vec<&str> = new().map(|new| new.text.line_number.as_str()).collect();
    let provider_ids: Vec<&str> = new().map(|new| new.text.provider_message_id.as_str()).collect();
    let words: Vec<Option<&str>> = new().map(|new| new.text.text.as_deref()).collect();
    let transports: Vec<i16> = new().map(|new| new.text.transport.number()).collect();
    let stored = query_scalar!(
        "WITH free AS MATERIALIZED (
             SELECT id FROM conversations WHERE organization_id = $1 AND id = ANY($2)
             FOR NO KEY UPDATE SKIP LOCKED),
         summary AS (
             UPDATE conversations c SET
                 updated_at = greatest(updated_at, n.arrived_at),
                 assignment_messaged = true,
                 latest_at = greatest(latest_at, n.sent_at),
                 blocked_is_latest = blocked_is_latest
                     AND (blocked_latest_at, blocked_latest_id) > (n.sent_at, n.message_id),
                 clear_total = clear_total + 1,
                 clear_received = clear_received + 1,
                 clear_latest_id = CASE WHEN clear_latest_at IS NULL
                     OR (n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id) THEN n.message_id
                     ELSE clear_latest_id END,
                 clear_latest_direction = CASE WHEN clear_latest_at IS NULL
                     OR (n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id) THEN $12
                     ELSE clear_latest_direction END,
                 clear_latest_text = CASE WHEN clear_latest_at IS NULL
                     OR (n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id) THEN n.preview
                     ELSE clear_latest_text END,
                 clear_latest_has_media = CASE WHEN clear_latest_at IS NULL
                     OR (n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id) THEN n.media IS NOT NULL
                     ELSE clear_latest_has_media END,
                 clear_latest_at = greatest(clear_latest_at, n.sent_at)
             FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::jsonb[], $6::timestamptz[], $7::text[],
                         $8::timestamptz[], $9::text[], $10::text[], $11::text[], $13::smallint[])
                  n (conversation_id, connection_id, message_id, media, sent_at, preview, arrived_at, line_number,
                     provider_message_id, text, transport)
             JOIN free ON free.id = n.conversation_id
             WHERE c.organization_id = $1 AND c.id = n.conversation_id AND c.assignment_id = n.connection_id
                   AND NOT c.assignment_released
             RETURNING n.message_id, n.conversation_id, c.agent_identity_id, n.connection_id, n.line_number,
                       n.provider_message_id, c.clear_received, n.text, n.media, n.transport, n.sent_at,
                       n.arrived_at)
         INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                               provider_message_id, direction, received_number, is_blocked, text, media, transport,
                               status, created_at, updated_at)
         SELECT $1, message_id, conversation_id, agent_identity_id, connection_id, line_number, provider_message_id,
                $12, clear_received, false, text, media, transport, $14, sent_at, arrived_at
         FROM summary
         RETURNING id",
        organization_id.as_str(),
        &conversations,
        &connections,
        &messages,
        &media as &[Option<Value>],
        &sent_at,
        &previews as &[Option<&str>],
        &arrived_at,
        &lines as &[&str],
        &provider_ids as &[&str],
        &words as &[Option<&str>],
        Direction::Inbound.number(),
        &transports,
        DeliveryStatus::Received.number(),
    )
    .fetch_all(link)
    .await?;
    Ok(stored.into_iter().collect())
}
