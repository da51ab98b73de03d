//! Repair of a conversation from its messages and connections.

use sqlx::query;
use uuid::Uuid;

use crate::domain::{OrganizationId, preview};
use crate::store::retention::lock_retention;
use crate::store::{DbConnection, StoreError};

/// Rebuilds everything that a conversation derives from its messages and connections. Correct message numbers
/// and a correct horizon stay unchanged, and messages that were read stay read. Returns 0 if the conversation
/// does not exist any more.
pub(super) async fn rebuild(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    id: Uuid,
) -> Result<u64, StoreError> {
    // Keeps bodies from being redacted in the meantime: redaction clears previews by message id, so it would
    // miss a preview that this repair is about to copy from a message.
    lock_retention(link, organization_id).await?;
    let pair = query!(
        "SELECT agent_identity_id, remote_number FROM conversations WHERE organization_id = $1 AND id = $2",
        organization_id.as_str(),
        id,
    )
    .fetch_optional(&mut *link)
    .await?;
    let Some(pair) = pair else { return Ok(0) };
    query!(
        "SELECT id FROM connections
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3
         ORDER BY id
         FOR UPDATE",
        organization_id.as_str(),
        pair.agent_identity_id,
        pair.remote_number,
    )
    .fetch_all(&mut *link)
    .await?;
    // From here on no message of the conversation can be stored, so the statements below see the same rows.
    let horizon = query!(
        "SELECT clear_read FROM conversations WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id.as_str(),
        id,
    )
    .fetch_optional(&mut *link)
    .await?;
    let Some(horizon) = horizon else { return Ok(0) };
    let read = renumber(link, organization_id, id, horizon.clear_read).await?;
    rebuild_summary(link, organization_id, id, read).await?;
    reassign(link, organization_id, id).await?;
    Ok(1)
}

/// Renumbers the received messages from 1 without gaps. Returns how many of them are read.
async fn renumber(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    id: Uuid,
    horizon: i32,
) -> Result<i32, StoreError> {
    let read = query!(
        r#"SELECT count(*)::integer AS "messages!" FROM messages
           WHERE organization_id = $1 AND conversation_id = $2 AND NOT is_blocked AND direction = 1
             AND received_number <= $3"#,
        organization_id.as_str(),
        id,
        horizon,
    )
    .fetch_one(&mut *link)
    .await?;
    query!(
        "WITH numbered AS (
             SELECT id, row_number() OVER (ORDER BY received_number, id) AS number FROM messages
             WHERE organization_id = $1 AND conversation_id = $2 AND NOT is_blocked AND direction = 1)
         UPDATE messages m SET received_number = n.number
         FROM numbered n
         WHERE m.organization_id = $1 AND m.id = n.id AND m.received_number IS DISTINCT FROM n.number",
        organization_id.as_str(),
        id,
    )
    .execute(link)
    .await?;
    Ok(read.messages)
}

/// Rebuilds counters, horizon and previews of both views.
pub(super) async fn rebuild_summary(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    id: Uuid,
    read: i32,
) -> Result<(), StoreError> {
    let newest = query!(
        r#"SELECT (SELECT left(text, 257) FROM messages
                   WHERE organization_id = $1 AND conversation_id = $2 AND NOT is_blocked
                   ORDER BY created_at DESC, id DESC LIMIT 1) AS "clear?",
                  (SELECT left(text, 257) FROM messages
                   WHERE organization_id = $1 AND conversation_id = $2 AND is_blocked
                   ORDER BY created_at DESC, id DESC LIMIT 1) AS "blocked?""#,
        organization_id.as_str(),
        id,
    )
    .fetch_one(&mut *link)
    .await?;
    query!(
        "UPDATE conversations c SET
             clear_total = s.clear, clear_received = s.received, blocked_total = s.blocked,
             clear_read = $3, clear_read_before = $3, clear_settled = $3, clear_settled_at = l.created_at,
             latest_at = coalesce(greatest(l.created_at, b.created_at), latest_at),
             blocked_is_latest = coalesce((b.created_at, b.id) > (l.created_at, l.id), b.id IS NOT NULL),
             clear_latest_id = l.id, clear_latest_at = l.created_at, clear_latest_direction = l.direction,
             clear_latest_text = $4, clear_latest_has_media = l.has_media,
             blocked_latest_id = b.id, blocked_latest_at = b.created_at,
             blocked_latest_text = $5, blocked_latest_has_media = b.has_media
         FROM (SELECT count(*) FILTER (WHERE NOT is_blocked) AS clear, count(*) FILTER (WHERE is_blocked) AS blocked,
                      count(*) FILTER (WHERE NOT is_blocked AND direction = 1) AS received
               FROM messages WHERE organization_id = $1 AND conversation_id = $2) s
         LEFT JOIN (SELECT id, created_at, direction, media IS NOT NULL AS has_media
                    FROM messages WHERE organization_id = $1 AND conversation_id = $2 AND NOT is_blocked
                    ORDER BY created_at DESC, id DESC LIMIT 1) l ON true
         LEFT JOIN (SELECT id, created_at, media IS NOT NULL AS has_media
                    FROM messages WHERE organization_id = $1 AND conversation_id = $2 AND is_blocked
                    ORDER BY created_at DESC, id DESC LIMIT 1) b ON true
         WHERE c.organization_id = $1 AND c.id = $2",
        organization_id.as_str(),
        id,
        read,
        newest.clear.as_deref().map(preview),
        newest.blocked.as_deref().map(preview),
    )
    .execute(link)
    .await?;
    Ok(())
}

/// Assigns the active connection of the identity and human; if there is none, the connection that the
/// conversation already refers to; else the newest one.
pub(super) async fn reassign(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    id: Uuid,
) -> Result<(), StoreError> {
    query!(
        "WITH right_one AS (
             SELECT k.id, k.released_at FROM connections k
             JOIN conversations c ON c.organization_id = $1 AND c.agent_identity_id = k.agent_identity_id
                                 AND c.remote_number = k.remote_number
             WHERE k.organization_id = $1 AND c.id = $2
             ORDER BY k.released_at IS NULL DESC, k.id = c.assignment_id DESC, k.created_at DESC, k.id DESC
             LIMIT 1)
         UPDATE conversations c SET
             assignment_id = r.id, assignment_released = r.released_at IS NOT NULL,
             assignment_messaged = EXISTS (
                 SELECT FROM messages m
                 WHERE m.organization_id = $1 AND m.conversation_id = $2 AND m.assignment_id = r.id
                   AND NOT m.is_blocked AND m.direction = 1)
         FROM right_one r
         WHERE c.organization_id = $1 AND c.id = $2",
        organization_id.as_str(),
        id,
    )
    .execute(link)
    .await?;
    Ok(())
}
