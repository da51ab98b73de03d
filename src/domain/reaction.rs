//! Reactions to messages (tapbacks).

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{ConversationId, Direction, MessageId, PhoneNumber, ReactionId};

wire_enum! {
    ReactionType {
        Love = 1,
        Like = 2,
        Dislike = 3,
        Laugh = 4,
        Emphasize = 5,
        Question = 6,
        Eyes = 7,
        /// Any emoji. Inbound only, because no carrier can send it.
        Custom = 8,
    }
}

/// A tapback on a message. Human and agent each have at most one current tapback on each part of a message.
#[derive(Debug, Clone)]
pub struct Reaction {
    pub id: ReactionId,
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
    /// The human's number.
    pub remote_number: PhoneNumber,
    /// Whether the human (inbound) or the agent (outbound) reacted.
    pub direction: Direction,
    pub reaction: ReactionType,
    /// Set for custom reactions only.
    pub custom_emoji: Option<String>,
    /// The part of the message, from 0: its text and its files are separate parts.
    pub part_index: i32,
    pub created_at: DateTime<Utc>,
    /// When it was last changed: made, removed, or redacted.
    pub updated_at: DateTime<Utc>,
}
