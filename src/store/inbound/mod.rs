//! Texts that humans send: where they belong, and storing them.

mod append;
mod route;
mod situation;
mod together;

pub use append::{NewInbound, Storing, store};
pub(super) use route::RouteOfText;
pub use route::{Destination, Route, route};
pub(super) use situation::SituationOfText;
pub use situation::{Situation, situation};
pub(super) use together::StoreText;

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Affects, Database, StoreError};
use crate::domain::{ConnectionId, ConversationId, Media, MessageId, OrganizationId, PhoneNumber, Transport};

/// A text that a line delivered.
#[derive(Debug, Clone)]
pub struct InboundText {
    /// The line that the human texted.
    pub line_number: PhoneNumber,
    /// The human.
    pub remote_number: PhoneNumber,
    /// What was said; `None` when there is only media.
    pub text: Option<String>,
    /// Files.
    pub media: Vec<Media>,
    /// The carrier's id, unique per line.
    pub provider_message_id: String,
    /// When it was sent, not later than now.
    pub sent_at: DateTime<Utc>,
    /// What carried it.
    pub transport: Transport,
}

impl InboundText {
    /// Its files as a column has them.
    fn media_as_stored(&self) -> Option<serde_json::Value> {
        (!self.media.is_empty()).then(|| serde_json::json!(self.media))
    }
}

/// A text that is stored already.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// The message.
    pub message_id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The connection it came on.
    pub connection_id: ConnectionId,
}

/// The message that an organization already has of this delivery.
pub async fn find_delivered(
    db: &Database,
    organization_id: &OrganizationId,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<Option<Stored>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query inbound::find_delivered", |connection| async move {
            let row = query!(
                "SELECT id, conversation_id, assignment_id FROM messages
             WHERE organization_id = $1 AND line_number = $2 AND provider_message_id = $3",
                organization_id.as_str(),
                line_number.as_str(),
                provider_message_id,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| Stored {
                message_id: row.id.into(),
                conversation_id: row.conversation_id.into(),
                connection_id: row.assignment_id.into(),
            }))
        })
        .await
}
