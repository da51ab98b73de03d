//! Conversations and messages of a merged human.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Pair;
use crate::store::integrity::repair::conversation::{reassign, rebuild_summary};
use crate::store::{DbConnection, StoreError};

pub(super) struct ConversationRow {
    id: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    opted_out_at: Option<DateTime<Utc>>,
    closing_until: Option<DateTime<Utc>>,
    clear_read: i32,
}

/// Locks the conversations of both numbers, two at most. No message can be stored in them until the transaction ends.
pub(super) async fn lock(
    link: &mut DbConnection,
    pair: &Pair<'_>,
) -> Result<Vec<ConversationRow>, StoreError> {
    let rows = query_as!(
        ConversationRow,
        "SELECT id, created_at, updated_at, opted_out_at, closing_until, clear_read FROM conversations
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = ANY ($3)
         ORDER BY id
         FOR UPDATE",
        pair.organization_id.as_str(),
        pair.identity_id,
        &pair.numbers(),
    )
    .fetch_all(link)
    .await?;
    Ok(rows)
}

/// Makes one conversation of two, under the id of the older, which callers have known for longer. A message that was read
/// stays read, and one that was not stays unread. An opt-out from either holds.
pub(super) async fn merge(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    conversations: &[ConversationRow],
) -> Result<(), StoreError> {
    let kept = match conversations {
        [] => return Ok(()),
        [only] => only,
        [one, other, ..] => {
            let is_older = (one.created_at, one.id) <= (other.created_at, other.id);
            let (kept, merged) = if is_older { (one, other) } else { (other, one) };
            number_read_before_unread(link, pair, kept, merged).await?;
            move_messages(link, pair, kept.id, merged.id).await?;
            absorb(link, pair, kept, merged).await?;
            kept
        }
    };
    query!(
        "UPDATE conversations SET remote_number = $3 WHERE organization_id = $1 AND id = $2",
        pair.organization_id.as_str(),
        kept.id,
        pair.canonical.as_str(),
    )
    .execute(&mut *link)
    .await?;
    if let [one, other, ..] = conversations {
        rebuild_summary(link, pair.organization_id, kept.id, one.clear_read + other.clear_read).await?;
    }
    reassign(link, pair.organization_id, kept.id).await
}

/// Numbers the received messages of both from 1: first those that were read in theirs, so that one horizon divides them.
/// Their order in lists is by time, and does not follow the numbers.
async fn number_read_before_unread(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    kept: &ConversationRow,
    merged: &ConversationRow,
) -> Result<(), StoreError> {
    query!(
        "WITH numbered AS (
             SELECT id, row_number() OVER (
                        ORDER BY received_number > CASE conversation_id WHEN $2 THEN $3 ELSE $5::integer END, id) AS number
             FROM messages
             WHERE organization_id = $1 AND conversation_id IN ($2, $4) AND NOT is_blocked AND direction = 1)
         UPDATE messages m SET received_number = n.number
         FROM numbered n
         WHERE m.organization_id = $1 AND m.id = n.id AND m.received_number IS DISTINCT FROM n.number",
        pair.organization_id.as_str(),
        kept.id,
        kept.clear_read,
        merged.id,
        merged.clear_read,
    )
    .execute(link)
    .await?;
    Ok(())
}

async fn move_messages(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    kept: Uuid,
    merged: Uuid,
) -> Result<(), StoreError> {
    query!(
        "UPDATE messages SET conversation_id = $2 WHERE organization_id = $1 AND conversation_id = $3",
        pair.organization_id.as_str(),
        kept,
        merged,
    )
    .execute(&mut *link)
    .await?;
    // Events refer to it as well, or they would no longer be shown.
    query!(
        "UPDATE events SET conversation_id = $2 WHERE organization_id = $1 AND conversation_id = $3",
        pair.organization_id.as_str(),
        kept,
        merged,
    )
    .execute(&mut *link)
    .await?;
    query!(
        "UPDATE reactions r SET conversation_id = $2
         FROM messages m
         WHERE r.organization_id = $1 AND r.conversation_id = $3 AND m.organization_id = $1 AND m.id = r.message_id
           AND m.conversation_id = $2",
        pair.organization_id.as_str(),
        kept,
        merged,
    )
    .execute(link)
    .await?;
    Ok(())
}

/// Deletes the merged conversation and gives the other one what is not derived from messages.
async fn absorb(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    kept: &ConversationRow,
    merged: &ConversationRow,
) -> Result<(), StoreError> {
    query!(
        "DELETE FROM conversations WHERE organization_id = $1 AND id = $2",
        pair.organization_id.as_str(),
        merged.id,
    )
    .execute(&mut *link)
    .await?;
    query!(
        "UPDATE conversations SET updated_at = greatest(updated_at, $3), opted_out_at = greatest(opted_out_at, $4),
                                  closing_until = greatest(closing_until, $5)
         WHERE organization_id = $1 AND id = $2",
        pair.organization_id.as_str(),
        kept.id,
        merged.updated_at,
        merged.opted_out_at,
        merged.closing_until,
    )
    .execute(link)
    .await?;
    Ok(())
}
