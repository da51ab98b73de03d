//! What a caller asks to be sent.

use super::validate::Content;
use crate::domain::{ConversationId, IdempotencyKey, IdentityId, MessageId, PhoneNumber, SendStyle};

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct SendRequest {
    pub target: SendTarget,
    /// The sending identity. Required with an admin key and [`SendTarget::Number`].
    pub identity_id: Option<IdentityId>,
    pub content: Content,
    pub send_style: Option<SendStyle>,
    pub reply: Option<Reply>,
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The message that is replied to.
#[derive(Debug, Clone, Copy)]
pub struct Reply {
    pub message_id: MessageId,
    /// Whether to send an ordinary message if the carrier cannot send a reply.
    pub may_be_plain: bool,
}

#[derive(Debug, Clone)]
pub enum SendTarget {
    Conversation(ConversationId),
    Number(PhoneNumber),
}
