//! Conversations and their summaries.

use chrono::{DateTime, Utc};

use super::{AssignmentStatus, ConnectionId, ConversationId, Direction, IdentityId, PhoneNumber};

/// Maximum length of a preview, in characters.
pub const PREVIEW_CHARACTERS: usize = 256;

/// The messages between one identity and one human. Permanent: reconnecting continues the same conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub id: ConversationId,
    pub agent_identity_id: IdentityId,
    /// The human's number.
    pub remote_number: PhoneNumber,
    /// The newest connection of identity and human.
    pub assignment_id: ConnectionId,
    /// The status of that connection.
    pub assignment_status: AssignmentStatus,
    /// Time of the first message.
    pub created_at: DateTime<Utc>,
    /// Time of the last non-blocked message or change of the connection.
    pub updated_at: DateTime<Utc>,
    /// Time of the text with which the human opted out; `None` if messages may be sent.
    pub opted_out_at: Option<DateTime<Utc>>,
}

/// The newest message of a view, as lists show it.
#[derive(Debug, Clone)]
pub struct Latest {
    /// The first [`PREVIEW_CHARACTERS`] characters; `None` if the message has no text.
    pub text: Option<String>,
    pub at: DateTime<Utc>,
    pub direction: Direction,
    pub has_media: bool,
}

/// A conversation with a summary of its messages in one view.
#[derive(Debug, Clone)]
pub struct ConversationSummary {
    pub conversation: Conversation,
    pub latest: Latest,
    /// Unread inbound messages. Blocked messages stay unread.
    pub unread_count: i32,
    pub total_count: i32,
}

/// The first [`PREVIEW_CHARACTERS`] characters of a text.
#[must_use]
pub fn preview(text: &str) -> &str {
    text.char_indices().nth(PREVIEW_CHARACTERS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::{PREVIEW_CHARACTERS, preview};

    #[test]
    fn preview_counts_characters_not_bytes() {
        assert_eq!(preview("short"), "short");
        let exact = "é".repeat(PREVIEW_CHARACTERS);
        assert_eq!(preview(&exact), exact);
        assert_eq!(preview(&"é".repeat(PREVIEW_CHARACTERS + 1)), exact);
    }
}
