//! Inbound messages, as they arrive and as they are stored.

use chrono::{DateTime, Utc};

use super::route::Destination;
use crate::domain::{ConnectionId, ConversationId, Media, MessageId, OptOutKeyword, PhoneNumber, Transport};
use crate::store::messages::append::NewMessage;

/// A message that a carrier delivered.
#[derive(Debug, Clone)]
pub struct InboundText {
    /// The line that the human wrote to.
    pub line_number: PhoneNumber,
    pub remote_number: PhoneNumber,
    /// `None` if there is only media.
    pub text: Option<String>,
    pub media: Vec<Media>,
    /// The carrier's id; unique per line.
    pub provider_message_id: String,
    /// When it was sent, not later than now.
    pub sent_at: DateTime<Utc>,
    pub transport: Transport,
    /// The carrier's id of the chat; `None` if the carrier addresses humans by number.
    pub chat: Option<String>,
    /// The carrier's id of the message that this one replies to.
    pub reply_to: Option<String>,
}

/// A message that is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredMessage {
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
    pub connection_id: ConnectionId,
}

/// An inbound message with everything that was decided about it.
#[derive(Debug, Clone)]
pub struct NewInbound {
    pub text: InboundText,
    pub to: Destination,
    pub message_id: MessageId,
    /// The id of the conversation, if this is its first message.
    pub new_conversation_id: ConversationId,
    /// The message of the same conversation that it replies to.
    pub reply_to: Option<MessageId>,
    /// Whether it is hidden from the agent.
    pub is_blocked: bool,
    /// When it arrived.
    pub now: DateTime<Utc>,
}

impl NewInbound {
    pub(super) fn stored_in(&self, conversation_id: ConversationId) -> StoredMessage {
        StoredMessage { message_id: self.message_id, conversation_id, connection_id: self.to.connection_id }
    }

    pub(super) fn message(&self, conversation_id: ConversationId) -> NewMessage<'_> {
        NewMessage {
            conversation_id: conversation_id.uuid(),
            connection_id: self.to.connection_id.uuid(),
            message_id: self.message_id.uuid(),
            line_number: self.text.line_number.as_str(),
            provider_message_id: Some(&self.text.provider_message_id),
            is_blocked: self.is_blocked,
            text: self.text.text.as_deref(),
            media: (!self.text.media.is_empty()).then(|| serde_json::json!(self.text.media)),
            transport: self.text.transport,
            reply_to: self.reply_to.map(MessageId::uuid),
            created_at: self.text.sent_at,
            updated_at: self.now,
            keyword: self.text.text.as_deref().and_then(OptOutKeyword::parse),
        }
    }
}
