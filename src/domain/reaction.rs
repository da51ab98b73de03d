//! Tapbacks.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{ConversationId, Direction, MessageId, ReactionId};

wire_enum! {
    /// Kinds of tapback.
    ReactionType {
        /// A heart.
        Love = 1,
        /// A thumb up.
        Like = 2,
        /// A thumb down.
        Dislike = 3,
        /// Ha ha.
        Laugh = 4,
        /// Two exclamation marks.
        Emphasize = 5,
        /// A question mark.
        Question = 6,
        /// A pair of eyes.
        Eyes = 7,
        /// Any emoji. Inbound only: no carrier sends it.
        Custom = 8,
    }
}

/// A tapback on a message. Each side has one live at most on each part of a message.
#[derive(Debug, Clone)]
pub struct Reaction {
    /// Its id.
    pub id: ReactionId,
    /// Conversation of the message.
    pub conversation_id: ConversationId,
    /// The message it is on.
    pub message_id: MessageId,
    /// Whose it is.
    pub direction: Direction,
    /// What it says.
    pub reaction: ReactionType,
    /// The emoji of a custom one.
    pub custom_emoji: Option<String>,
    /// Which part of the message, from 0.
    pub part_index: i32,
    /// When it was put.
    pub created_at: DateTime<Utc>,
}
