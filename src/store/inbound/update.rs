//! Changing a stored message as a later delivery of it says: files, edits, and its retraction.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::message::InboundText;
use crate::domain::{Content, Media, OrganizationId, PhoneNumber, preview};
use crate::store::retention::lock_retention;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// What a later delivery of a human's message brings.
#[derive(Debug, Clone)]
pub struct MessageUpdate {
    pub line_number: PhoneNumber,
    pub remote_number: PhoneNumber,
    pub provider_message_id: String,
    pub content: Content,
    /// When it arrived.
    pub now: DateTime<Utc>,
}

impl MessageUpdate {
    /// Without an edit.
    #[must_use]
    pub fn of(text: &InboundText, now: DateTime<Utc>) -> Self {
        Self {
            line_number: text.line_number.clone(),
            remote_number: text.remote_number.clone(),
            provider_message_id: text.provider_message_id.clone(),
            content: Content { text: text.text.clone(), media: text.media.clone(), ..Content::default() },
            now,
        }
    }
}

/// Changes the message by the rules of [`Content::revised_by`], and makes the previews of its conversation follow. Returns whether something
/// changed; `None` if the organization has no such message of this human. A redacted message stays redacted.
pub async fn update(
    db: &Database,
    organization_id: &OrganizationId,
    update: MessageUpdate,
) -> Result<Option<bool>, StoreError> {
    let owner = organization_id.clone();
    // The message and the previews of its conversation must agree.
    db.transaction(
        Affects::organization(organization_id),
        "transaction inbound::update::update",
        move |connection| {
            let (organization_id, update) = (owner.clone(), update.clone());
            Box::pin(async move {
                let Some(stored) = find(connection, &organization_id, &update).await? else {
                    return Ok(None);
                };
                apply(connection, &organization_id, stored, &update).await
            })
        },
    )
    .await
}

/// The ids of a message and of its conversation.
#[derive(Clone, Copy)]
struct Stored {
    message_id: Uuid,
    conversation_id: Uuid,
}

async fn find(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    update: &MessageUpdate,
) -> Result<Option<Stored>, StoreError> {
    let row = query!(
        "SELECT m.id, m.conversation_id FROM messages m
         WHERE m.organization_id = $1 AND m.line_number = $2 AND m.provider_message_id = $3 AND m.direction = 1",
        organization_id.as_str(),
        update.line_number.as_str(),
        update.provider_message_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Stored { message_id: row.id, conversation_id: row.conversation_id }))
}

/// Locks in the order of the service: retention, conversation, message.
async fn apply(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    stored: Stored,
    update: &MessageUpdate,
) -> Result<Option<bool>, StoreError> {
    let (redacted_to, _) = lock_retention(connection, organization_id).await?;
    let conversation = query!(
        "SELECT remote_number FROM conversations WHERE organization_id = $1 AND id = $2 FOR NO KEY UPDATE",
        organization_id.as_str(),
        stored.conversation_id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    // A conversation without a row is being deleted. Another sender has no say in this message.
    if conversation.is_none_or(|conversation| conversation.remote_number != update.remote_number.as_str()) {
        return Ok(None);
    }
    let Some(content) = lock_content(connection, organization_id, stored).await? else { return Ok(None) };
    if stored.message_id <= redacted_to {
        return Ok(Some(false));
    }
    let Some(revised) = content.revised_by(&update.content) else { return Ok(Some(false)) };
    write(connection, organization_id, stored, revised, update.now).await?;
    Ok(Some(true))
}

async fn lock_content(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    stored: Stored,
) -> Result<Option<Content>, StoreError> {
    let row = query!(
        "SELECT text, media, edited_at, retracted_at, original_text FROM messages
         WHERE organization_id = $1 AND id = $2 FOR NO KEY UPDATE",
        organization_id.as_str(),
        stored.message_id,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let corrupt = StoreError::Corrupt { table: "messages", column: "media", id: stored.message_id };
    let media: Vec<Media> = match row.media {
        None => Vec::new(),
        Some(json) => serde_json::from_value(json).map_err(|_| corrupt)?,
    };
    Ok(Some(Content {
        text: row.text,
        media,
        edited_at: row.edited_at,
        retracted_at: row.retracted_at,
        original_text: row.original_text,
    }))
}

async fn write(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    stored: Stored,
    content: Content,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let has_media = !content.media.is_empty();
    query!(
        "UPDATE messages
         SET text = $3, media = $4, edited_at = $5, retracted_at = $6, original_text = $7,
             updated_at = greatest(updated_at, $8)
         WHERE organization_id = $1 AND id = $2",
        organization_id.as_str(),
        stored.message_id,
        content.text,
        has_media.then(|| serde_json::json!(content.media)),
        content.edited_at,
        content.retracted_at,
        content.original_text,
        now,
    )
    .execute(&mut *connection)
    .await?;
    query!(
        "UPDATE conversations SET
             clear_latest_text = CASE WHEN clear_latest_id = $3 THEN $4 ELSE clear_latest_text END,
             clear_latest_has_media = CASE WHEN clear_latest_id = $3 THEN $5 ELSE clear_latest_has_media END,
             blocked_latest_text = CASE WHEN blocked_latest_id = $3 THEN $4 ELSE blocked_latest_text END,
             blocked_latest_has_media = CASE WHEN blocked_latest_id = $3 THEN $5 ELSE blocked_latest_has_media END
         WHERE organization_id = $1 AND id = $2 AND (clear_latest_id = $3 OR blocked_latest_id = $3)",
        organization_id.as_str(),
        stored.conversation_id,
        stored.message_id,
        content.text.as_deref().map(preview),
        has_media,
    )
    .execute(connection)
    .await?;
    Ok(())
}
