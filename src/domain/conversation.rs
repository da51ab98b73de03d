//! Conversations and their previews.

use chrono::{DateTime, Utc};

use super::{AssignmentStatus, ConnectionId, ConversationId, Direction, IdentityId, PhoneNumber};

/// How much of a text a list shows, in characters.
pub const PREVIEW_CHARACTERS: usize = 256;

/// One identity and one human, for ever.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The identity.
    pub agent_identity_id: IdentityId,
    /// The human.
    pub remote_number: PhoneNumber,
    /// Its newest connection.
    pub assignment_id: ConnectionId,
    /// Whether that connection is active.
    pub assignment_status: AssignmentStatus,
    /// When the first message arrived.
    pub created_at: DateTime<Utc>,
    /// Last non-blocked message or connection change.
    pub updated_at: DateTime<Utc>,
}

/// The newest message of a view, as a list shows it.
#[derive(Debug, Clone)]
pub struct Latest {
    /// Its first [`PREVIEW_CHARACTERS`] characters; `None` when it has no text.
    pub text: Option<String>,
    /// Its time.
    pub at: DateTime<Utc>,
    /// Who said it.
    pub direction: Direction,
    /// Whether it has media.
    pub has_media: bool,
}

/// A conversation with its messages summed up inside one view.
#[derive(Debug, Clone)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: Conversation,
    /// The newest message in the view.
    pub latest: Latest,
    /// Inbound messages in the view that are not read. Blocked ones never are.
    pub unread_count: i32,
    /// All messages in the view.
    pub total_count: i32,
}

/// The part of a text that lists show.
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
