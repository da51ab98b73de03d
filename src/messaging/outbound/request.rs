//! What a caller asks to be sent.

use super::validate::Content;
use crate::domain::{ConversationId, IdempotencyKey, IdentityId, PhoneNumber, SendStyle};

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct SendRequest {
    pub target: SendTarget,
    /// The sending identity. Required with an admin key and [`SendTarget::Number`].
    pub identity_id: Option<IdentityId>,
    pub content: Content,
    pub send_style: Option<SendStyle>,
    pub idempotency_key: Option<IdempotencyKey>,
}

#[derive(Debug, Clone)]
pub enum SendTarget {
    Conversation(ConversationId),
    Number(PhoneNumber),
}
