//! The columns that every query of a message reads, and the reactions of messages.

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use crate::domain::{
    DeliveryError, DeliveryStatus, Direction, Media, Message, MessageOrigin, OrganizationId, SendStyle,
    Transport,
};
use crate::store::reactions::ReactionRow;
use crate::store::{DbConnection, StoreError};

/// A message, and what its conversation knows of it.
pub(super) struct MessageColumns {
    pub(super) id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) assignment_id: Uuid,
    pub(super) direction: i16,
    pub(super) received_number: Option<i32>,
    pub(super) is_blocked: bool,
    pub(super) text: Option<String>,
    pub(super) media: Option<serde_json::Value>,
    pub(super) send_style: i16,
    pub(super) transport: i16,
    pub(super) status: i16,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) was_downgraded: bool,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) edited_at: Option<DateTime<Utc>>,
    pub(super) retracted_at: Option<DateTime<Utc>>,
    pub(super) original_text: Option<String>,
    pub(super) reply_to_message_id: Option<Uuid>,
    pub(super) origin: i16,
    pub(super) remote_number: String,
    pub(super) clear_read: i32,
}

impl TryFrom<MessageColumns> for Message {
    type Error = StoreError;

    fn try_from(row: MessageColumns) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "messages", column, id: row.id };
        let direction = Direction::from_number(row.direction).ok_or_else(|| corrupt("direction"))?;
        let media = match row.media {
            None => Vec::new(),
            Some(json) => serde_json::from_value::<Vec<Media>>(json).map_err(|_| corrupt("media"))?,
        };
        let is_read = match (direction, row.received_number) {
            (Direction::Outbound, _) => true,
            (Direction::Inbound, Some(number)) => number <= row.clear_read,
            (Direction::Inbound, None) => false,
        };
        Ok(Self {
            id: row.id.into(),
            conversation_id: row.conversation_id.into(),
            assignment_id: row.assignment_id.into(),
            direction,
            remote_number: row.remote_number.into(),
            text: row.text,
            media,
            send_style: SendStyle::from_number(row.send_style),
            transport: Transport::from_number(row.transport).ok_or_else(|| corrupt("transport"))?,
            status: DeliveryStatus::from_number(row.status).ok_or_else(|| corrupt("status"))?,
            error: row
                .error_code
                .map(|code| DeliveryError { code, message: row.error_message.unwrap_or_default() }),
            was_downgraded: row.was_downgraded,
            is_read,
            is_blocked: row.is_blocked,
            reactions: Vec::new(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            edited_at: row.edited_at,
            retracted_at: row.retracted_at,
            original_text: row.original_text,
            reply_to: row.reply_to_message_id.map(Into::into),
            origin: MessageOrigin::from_number(row.origin).ok_or_else(|| corrupt("origin"))?,
        })
    }
}

/// Adds the live reactions of each message, oldest first. There is at most one per side and part of a message.
pub(super) async fn add_reactions(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    messages: &mut [Message],
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = messages.iter().map(|message| message.id.uuid()).collect();
    let rows = query_as!(
        ReactionRow,
        "SELECT id, conversation_id, message_id, direction, reaction, custom_emoji, part_index, created_at,
                removed_at, updated_at
         FROM reactions
         WHERE organization_id = $1 AND message_id = ANY ($2) AND removed_at IS NULL
         ORDER BY created_at, id",
        organization_id.as_str(),
        &ids,
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        if let Some(message) = messages.iter_mut().find(|message| message.id.uuid() == row.message_id) {
            let reaction = row.reaction(message.remote_number.clone())?;
            message.reactions.push(reaction);
        }
    }
    Ok(())
}
