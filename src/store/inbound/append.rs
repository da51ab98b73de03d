//! Storing an inbound message.

use std::sync::Arc;

use sqlx::query;

use super::append_batch::{AppendBatch, AppendItem};
use super::message::{NewInbound, StoredMessage};
use crate::domain::ConversationId;
use crate::error::Error;
use crate::store::conversations::id_of_participants;
use crate::store::messages::ONE_PER_PROVIDER_ID;
use crate::store::messages::append::{Kind, Locked, append};
use crate::store::{Affects, Database, DbConnection, StoreError};

#[derive(Debug, Clone, Copy)]
pub enum AppendOutcome {
    Stored(StoredMessage),
    /// Another delivery of the same message was stored first.
    Delivered,
    /// The connection ended, or what decides whether the human is blocked changed in the meantime; nothing was stored.
    Stale,
}

/// Stores a message and updates the summary of its conversation: in one statement with other messages of the same moment,
/// or alone if that skips it. The first message creates the conversation in the same transaction.
pub async fn store(
    db: &Database,
    new: NewInbound,
    conversation_id: Option<ConversationId>,
) -> Result<AppendOutcome, StoreError> {
    let new = Arc::new(new);
    let stored = match conversation_id {
        Some(conversation_id) => {
            let item = AppendItem { new: new.clone(), conversation_id };
            if db.load::<AppendBatch>(new.to.organization_id.clone(), item).await? {
                return Ok(AppendOutcome::Stored(new.stored_in(conversation_id)));
            }
            store_single(db, new, conversation_id).await
        }
        None => store_first(db, new).await,
    };
    match stored {
        Err(error) if error.violates(ONE_PER_PROVIDER_ID) => Ok(AppendOutcome::Delivered),
        Err(StoreError::Refused(Error::ConnectionReleased)) => Ok(AppendOutcome::Stale),
        other => other,
    }
}

/// Waits for the lock of the conversation.
async fn store_single(
    db: &Database,
    new: Arc<NewInbound>,
    conversation_id: ConversationId,
) -> Result<AppendOutcome, StoreError> {
    let mut session = db.acquire(Affects::organization(&new.to.organization_id)).await?;
    session
        .run("query inbound::append::store_alone", |connection| {
            append_single(connection, &new, conversation_id)
        })
        .await
}

/// In a transaction, since two tables must agree on whether the connection is active while the conversation is created.
async fn store_first(db: &Database, new: Arc<NewInbound>) -> Result<AppendOutcome, StoreError> {
    let affects = Affects::organization(&new.to.organization_id);
    db.transaction(affects, "transaction inbound::append::store_in_transaction", move |connection| {
        let new = new.clone();
        Box::pin(async move {
            let Some(conversation_id) = create_conversation(connection, &new).await? else {
                return Ok(AppendOutcome::Stale);
            };
            match append_single(connection, &new, conversation_id).await? {
                // Rolls back, since a conversation begins with a message.
                AppendOutcome::Stale => Err(Error::ConnectionReleased.into()),
                outcome => Ok(outcome),
            }
        })
    })
    .await
}

async fn append_single(
    connection: &mut DbConnection,
    new: &NewInbound,
    conversation_id: ConversationId,
) -> Result<AppendOutcome, StoreError> {
    let messages = vec![new.message(conversation_id)];
    let appended = append(connection, &new.to.organization_id, Kind::Inbound, Locked::Wait, messages).await?;
    Ok(if appended.is_empty() {
        AppendOutcome::Stale
    } else {
        AppendOutcome::Stored(new.stored_in(conversation_id))
    })
}

/// Creates the conversation without a message; `None` if the connection is not active. The lock of the connection
/// serializes concurrent first messages, and makes a release wait for them.
pub(super) async fn create_conversation(
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
    id_of_participants(connection, &new.to.organization_id, new.to.identity_id, &new.text.remote_number).await
}
