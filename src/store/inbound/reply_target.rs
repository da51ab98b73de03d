//! The message that a received message replies to.

use sqlx::query;

use crate::domain::{ConversationId, MessageId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// How a carrier names the message that another one replies to.
#[derive(Debug, Clone, Copy)]
pub struct ReplyTarget<'a> {
    /// The conversation of the reply.
    pub conversation_id: ConversationId,
    /// The line that received the reply.
    pub line_number: &'a PhoneNumber,
    pub provider_message_id: &'a str,
    /// Whether it may be a blocked message.
    pub includes_blocked: bool,
}

/// The message; `None` if the conversation has no such message.
pub async fn find_reply_target(
    db: &Database,
    organization_id: &OrganizationId,
    target: ReplyTarget<'_>,
) -> Result<Option<MessageId>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query inbound::reply_target::find_reply_target", |connection| async move {
            let row = query!(
                "SELECT id FROM messages
                 WHERE organization_id = $1 AND line_number = $2 AND provider_message_id = $3
                   AND conversation_id = $4 AND ($5 OR NOT is_blocked)",
                organization_id.as_str(),
                target.line_number.as_str(),
                target.provider_message_id,
                target.conversation_id.uuid(),
                target.includes_blocked,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.id.into()))
        })
        .await
}
