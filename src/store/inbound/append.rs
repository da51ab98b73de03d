//! Storing a text.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Destination, InboundText, Stored};
use crate::domain::{ConversationId, DeliveryStatus, Direction, MessageId, preview};
use crate::store::conversations::id_of_pair;
use crate::store::{Database, Failure, Link};

/// A text with all that was decided of it.
#[derive(Debug, Clone)]
pub struct NewInbound {
    /// The text.
    pub text: InboundText,
    /// Where it goes.
    pub to: Destination,
    /// Its message id.
    pub message_id: MessageId,
    /// Id of the conversation, should this be its first message.
    pub new_conversation_id: ConversationId,
    /// Whether it is kept from the agent.
    pub is_blocked: bool,
    /// When it arrived.
    pub now: DateTime<Utc>,
}

/// What became of a text that was to be stored.
#[derive(Debug, Clone, Copy)]
pub enum Storing {
    /// It is stored.
    Stored(Stored),
    /// Another delivery of the same text was faster.
    Delivered,
    /// The connection ended meanwhile: nothing was stored.
    NotConnected,
}

/// Stores a text and sums it up in its conversation, in one statement; the first text of all makes the conversation
/// in the same transaction.
pub async fn store(
    db: &Database,
    new: NewInbound,
    conversation_id: Option<ConversationId>,
) -> Result<Storing, Failure> {
    let stored = match conversation_id {
        Some(conversation_id) => {
            let mut session = db.session_for(&new.to.organization_id).await?;
            session.run(|connection| append(connection, &new, conversation_id)).await
        }
        // Two tables must agree on whether the connection is active while the conversation is made.
        None => {
            db.transaction_for(&new.to.organization_id.clone(), move |connection| {
                let new = new.clone();
                Box::pin(async move {
                    match begin_conversation(connection, &new).await? {
                        Some(conversation_id) => append(connection, &new, conversation_id).await,
                        None => Ok(Storing::NotConnected),
                    }
                })
            })
            .await
        }
    };
    match stored {
        Err(failure) if failure.violates("messages_one_per_provider_id") => Ok(Storing::Delivered),
        other => other,
    }
}

/// Makes the conversation, with nothing in it yet; `None` when the connection is not active. The connection's lock
/// makes first messages that race wait for each other, and a release wait for all of them.
async fn begin_conversation(
    connection: &mut Link,
    new: &NewInbound,
) -> Result<Option<ConversationId>, Failure> {
    let active = query!(
        "SELECT id FROM connections
         WHERE organization_id = $1 AND id = $2 AND released_at IS NULL
         FOR UPDATE",
        new.to.organization_id.as_str(),
        new.to.connection_id.uuid(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    if active.is_none() {
        return Ok(None);
    }
    query!(
        "INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id,
                                    created_at, updated_at, latest_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
         ON CONFLICT (organization_id, agent_identity_id, remote_number) DO NOTHING",
        new.to.organization_id.as_str(),
        new.new_conversation_id.uuid(),
        new.to.identity_id.uuid(),
        new.text.remote_number.as_str(),
        new.to.connection_id.uuid(),
        new.now,
        new.text.sent_at,
    )
    .execute(&mut *connection)
    .await?;
    id_of_pair(connection, &new.to.organization_id, new.to.identity_id, &new.text.remote_number).await
}

/// Adds the message and moves the summary, while the connection is the conversation's active one.
async fn append(
    connection: &mut Link,
    new: &NewInbound,
    conversation_id: ConversationId,
) -> Result<Storing, Failure> {
    let media = (!new.text.media.is_empty()).then(|| serde_json::json!(new.text.media));
    let text = new.text.text.as_deref();
    let rows = if new.is_blocked {
        query!(
            "WITH summary AS (
                 UPDATE conversations SET
                     latest_at = greatest(latest_at, $12),
                     blocked_is_latest = blocked_is_latest
                         OR coalesce(($12, $4) > (clear_latest_at, clear_latest_id), true),
                     blocked_total = blocked_total + 1,
                     blocked_latest_id = CASE WHEN blocked_latest_at IS NULL
                         OR ($12, $4) > (blocked_latest_at, blocked_latest_id) THEN $4 ELSE blocked_latest_id END,
                     blocked_latest_text = CASE WHEN blocked_latest_at IS NULL
                         OR ($12, $4) > (blocked_latest_at, blocked_latest_id) THEN $14 ELSE blocked_latest_text END,
                     blocked_latest_has_media = CASE WHEN blocked_latest_at IS NULL
                         OR ($12, $4) > (blocked_latest_at, blocked_latest_id) THEN $9::jsonb IS NOT NULL
                         ELSE blocked_latest_has_media END,
                     blocked_latest_at = greatest(blocked_latest_at, $12)
                 WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
                 RETURNING agent_identity_id)
             INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                                   provider_message_id, direction, received_number, is_blocked, text, media, transport,
                                   status, created_at, updated_at)
             SELECT $1, $4, $2, agent_identity_id, $3, $5, $6, $7, NULL, true, $8, $9, $10, $11, $12, $13
             FROM summary",
            new.to.organization_id.as_str(),
            conversation_id.uuid(),
            new.to.connection_id.uuid(),
            new.message_id.uuid(),
            new.text.line_number.as_str(),
            new.text.provider_message_id,
            Direction::Inbound.number(),
            text,
            media,
            new.text.transport.number(),
            DeliveryStatus::Received.number(),
            new.text.sent_at,
            new.now,
            text.map(preview),
        )
        .execute(connection)
        .await?
    } else {
        query!(
            "WITH summary AS (
                 UPDATE conversations SET
                     updated_at = greatest(updated_at, $13),
                     assignment_messaged = true,
                     latest_at = greatest(latest_at, $12),
                     blocked_is_latest = blocked_is_latest
                         AND (blocked_latest_at, blocked_latest_id) > ($12, $4),
                     clear_total = clear_total + 1,
                     clear_received = clear_received + 1,
                     clear_latest_id = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $4 ELSE clear_latest_id END,
                     clear_latest_direction = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $7 ELSE clear_latest_direction END,
                     clear_latest_text = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $14 ELSE clear_latest_text END,
                     clear_latest_has_media = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $9::jsonb IS NOT NULL
                         ELSE clear_latest_has_media END,
                     clear_latest_at = greatest(clear_latest_at, $12)
                 WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
                 RETURNING agent_identity_id, clear_received)
             INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                                   provider_message_id, direction, received_number, is_blocked, text, media, transport,
                                   status, created_at, updated_at)
             SELECT $1, $4, $2, agent_identity_id, $3, $5, $6, $7, clear_received, false, $8, $9, $10, $11, $12, $13
             FROM summary",
            new.to.organization_id.as_str(),
            conversation_id.uuid(),
            new.to.connection_id.uuid(),
            new.message_id.uuid(),
            new.text.line_number.as_str(),
            new.text.provider_message_id,
            Direction::Inbound.number(),
            text,
            media,
            new.text.transport.number(),
            DeliveryStatus::Received.number(),
            new.text.sent_at,
            new.now,
            text.map(preview),
        )
        .execute(connection)
        .await?
    };
    Ok(if rows.rows_affected() == 1 {
        Storing::Stored(Stored {
            message_id: new.message_id,
            conversation_id,
            connection_id: new.to.connection_id,
        })
    } else {
        Storing::NotConnected
    })
}
