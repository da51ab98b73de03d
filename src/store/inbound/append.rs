//! Storing a text.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::together::TextIn;
use super::{Destination, InboundText, Stored};
use crate::domain::{ConversationId, DeliveryStatus, Direction, MessageId, preview};
use crate::store::conversations::id_of_pair;
use crate::store::session::traced;
use crate::store::{Affects, Database, DbConnection, StoreError};

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

impl NewInbound {
    fn stored_in(&self, conversation_id: ConversationId) -> Stored {
        Stored { message_id: self.message_id, conversation_id, connection_id: self.to.connection_id }
    }
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

/// Stores a text and sums it up in its conversation, in one statement where the database allows that, together with
/// other texts of the same moment; the first text of all makes the conversation in the same transaction.
pub async fn store(
    db: &Database,
    new: NewInbound,
    conversation_id: Option<ConversationId>,
) -> Result<Storing, StoreError> {
    let new = Arc::new(new);
    let stored = match conversation_id {
        Some(conversation_id) if store_among_others(db, &new, conversation_id).await? => {
            return Ok(Storing::Stored(new.stored_in(conversation_id)));
        }
        Some(conversation_id) => store_alone(db, new, conversation_id).await,
        None => store_in_transaction(db, new, None).await,
    };
    match stored {
        Err(failure) if failure.violates("messages_one_per_provider_id") => Ok(Storing::Delivered),
        other => other,
    }
}

/// Whether a text was stored together with others; where it was not, it is to be stored alone. A blocked text is rare,
/// and has no company.
async fn store_among_others(
    db: &Database,
    new: &Arc<NewInbound>,
    conversation_id: ConversationId,
) -> Result<bool, StoreError> {
    if new.is_blocked || db.is_distributed() {
        return Ok(false);
    }
    let text = TextIn { new: new.clone(), conversation_id };
    let storing = db.shared.texts.ask(db, new.to.organization_id.clone(), text);
    traced("query inbound::append::store_among_others", storing).await
}

/// Waits for the conversation, and then decides.
async fn store_alone(
    db: &Database,
    new: Arc<NewInbound>,
    conversation_id: ConversationId,
) -> Result<Storing, StoreError> {
    let mut session = db.acquire(Affects::organization(&new.to.organization_id)).await?;
    if session.is_distributed() {
        drop(session);
        return store_in_transaction(db, new, Some(conversation_id)).await;
    }
    session
        .run("query inbound::append::store_alone", |connection| append(connection, &new, conversation_id))
        .await
}

/// The same in a transaction, which makes the conversation where there is none.
async fn store_in_transaction(
    db: &Database,
    new: Arc<NewInbound>,
    conversation_id: Option<ConversationId>,
) -> Result<Storing, StoreError> {
    // Two tables must agree on whether the connection is active while the conversation is made, or the message added.
    db.transaction(
        Affects::organization(&new.to.organization_id),
        "transaction inbound::append::store_in_transaction",
        move |connection| {
            let new = new.clone();
            Box::pin(async move {
                let conversation_id = match conversation_id {
                    Some(conversation_id) => Some(conversation_id),
                    None => begin_conversation(connection, &new).await?,
                };
                match conversation_id {
                    Some(conversation_id) => append(connection, &new, conversation_id).await,
                    None => Ok(Storing::NotConnected),
                }
            })
        },
    )
    .await
}

/// Makes the conversation, with nothing in it yet; `None` when the connection is not active. The connection's lock
/// makes first messages that race wait for each other, and a release wait for all of them.
async fn begin_conversation(
    connection: &mut DbConnection,
    new: &NewInbound,
) -> Result<Option<ConversationId>, StoreError> {
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

/// Moves the summary with `$update`, whose parameters are `$moved`, and adds the message: in one statement, which costs
/// two thirds of two in a transaction, but where the database refuses that.
macro_rules! sum_up_and_add {
    ($connection:ident, $row:ident, $update:literal, [$($moved:ident),+], $blocked:literal, $is_blocked:literal) => {
        if $connection.is_distributed() {
            let summary = query!($update, $($row.$moved),+).fetch_optional(&mut *$connection).await?;
            match summary {
                Some(summary) => {
                    query!(
                        "INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id,
                                               line_number, provider_message_id, direction, received_number,
                                               is_blocked, text, media, transport, status, created_at, updated_at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
                        $row.organization_id,
                        $row.message_id,
                        $row.conversation_id,
                        summary.agent_identity_id,
                        $row.connection_id,
                        $row.line_number,
                        $row.provider_message_id,
                        $row.direction,
                        summary.number,
                        $is_blocked,
                        $row.text,
                        $row.media,
                        $row.transport,
                        $row.status,
                        $row.sent_at,
                        $row.now,
                    )
                    .execute($connection)
                    .await?
                    .rows_affected()
                }
                None => 0,
            }
        } else {
            query!(
                "WITH summary AS (" + $update + ")
                 INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id,
                                       line_number, provider_message_id, direction, received_number, is_blocked, text,
                                       media, transport, status, created_at, updated_at)
                 SELECT $1, $4, $2, agent_identity_id, $3, $10, $11, $9, \"number?\", " + $blocked + ", $12, $5, $13, $14,
                        $6, $8
                 FROM summary",
                $row.organization_id,
                $row.conversation_id,
                $row.connection_id,
                $row.message_id,
                $row.media,
                $row.sent_at,
                $row.preview,
                $row.now,
                $row.direction,
                $row.line_number,
                $row.provider_message_id,
                $row.text,
                $row.transport,
                $row.status,
            )
            .execute($connection)
            .await?
            .rows_affected()
        }
    };
}

/// What the statements are given.
struct NewRow<'a> {
    organization_id: &'a str,
    conversation_id: Uuid,
    connection_id: Uuid,
    message_id: Uuid,
    media: Option<serde_json::Value>,
    sent_at: DateTime<Utc>,
    preview: Option<&'a str>,
    now: DateTime<Utc>,
    direction: i16,
    line_number: &'a str,
    provider_message_id: &'a str,
    text: Option<&'a str>,
    transport: i16,
    status: i16,
}

/// Adds the message and moves the summary, while the connection is the conversation's active one. In a transaction of
/// the caller's where tables may be distributed.
async fn append(
    connection: &mut DbConnection,
    new: &NewInbound,
    conversation_id: ConversationId,
) -> Result<Storing, StoreError> {
    let text = new.text.text.as_deref();
    let row = NewRow {
        organization_id: new.to.organization_id.as_str(),
        conversation_id: conversation_id.uuid(),
        connection_id: new.to.connection_id.uuid(),
        message_id: new.message_id.uuid(),
        media: new.text.media_as_stored(),
        sent_at: new.text.sent_at,
        preview: text.map(preview),
        now: new.now,
        direction: Direction::Inbound.number(),
        line_number: new.text.line_number.as_str(),
        provider_message_id: &new.text.provider_message_id,
        text,
        transport: new.text.transport.number(),
        status: DeliveryStatus::Received.number(),
    };
    let added = if new.is_blocked {
        sum_up_and_add!(
            connection,
            row,
            "UPDATE conversations SET
                 latest_at = greatest(latest_at, $6),
                 blocked_is_latest = blocked_is_latest
                     OR coalesce(($6, $4) > (clear_latest_at, clear_latest_id), true),
                 blocked_total = blocked_total + 1,
                 blocked_latest_id = CASE WHEN blocked_latest_at IS NULL
                     OR ($6, $4) > (blocked_latest_at, blocked_latest_id) THEN $4 ELSE blocked_latest_id END,
                 blocked_latest_text = CASE WHEN blocked_latest_at IS NULL
                     OR ($6, $4) > (blocked_latest_at, blocked_latest_id) THEN $7 ELSE blocked_latest_text END,
                 blocked_latest_has_media = CASE WHEN blocked_latest_at IS NULL
                     OR ($6, $4) > (blocked_latest_at, blocked_latest_id) THEN $5::jsonb IS NOT NULL
                     ELSE blocked_latest_has_media END,
                 blocked_latest_at = greatest(blocked_latest_at, $6)
             WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
             RETURNING agent_identity_id, NULL::integer AS \"number?\"",
            [organization_id, conversation_id, connection_id, message_id, media, sent_at, preview],
            "true",
            true
        )
    } else {
        sum_up_and_add!(
            connection,
            row,
            "UPDATE conversations SET
                 updated_at = greatest(updated_at, $8),
                 assignment_messaged = true,
                 latest_at = greatest(latest_at, $6),
                 blocked_is_latest = blocked_is_latest
                     AND (blocked_latest_at, blocked_latest_id) > ($6, $4),
                 clear_total = clear_total + 1,
                 clear_received = clear_received + 1,
                 clear_latest_id = CASE WHEN clear_latest_at IS NULL
                     OR ($6, $4) > (clear_latest_at, clear_latest_id) THEN $4 ELSE clear_latest_id END,
                 clear_latest_direction = CASE WHEN clear_latest_at IS NULL
                     OR ($6, $4) > (clear_latest_at, clear_latest_id) THEN $9 ELSE clear_latest_direction END,
                 clear_latest_text = CASE WHEN clear_latest_at IS NULL
                     OR ($6, $4) > (clear_latest_at, clear_latest_id) THEN $7 ELSE clear_latest_text END,
                 clear_latest_has_media = CASE WHEN clear_latest_at IS NULL
                     OR ($6, $4) > (clear_latest_at, clear_latest_id) THEN $5::jsonb IS NOT NULL
                     ELSE clear_latest_has_media END,
                 clear_latest_at = greatest(clear_latest_at, $6)
             WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
             RETURNING agent_identity_id, clear_received AS \"number?\"",
            [
                organization_id,
                conversation_id,
                connection_id,
                message_id,
                media,
                sent_at,
                preview,
                now,
                direction
            ],
            "false",
            false
        )
    };
    Ok(if added == 1 { Storing::Stored(new.stored_in(conversation_id)) } else { Storing::NotConnected })
}
