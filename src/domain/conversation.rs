//! Conversations and their summaries.

use chrono::{DateTime, Utc};
use unicode_segmentation::GraphemeCursor;

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

/// The preview of a text: its beginning of at most [`PREVIEW_CHARACTERS`] characters.
#[must_use]
pub fn preview(text: &str) -> &str {
    beginning(text, PREVIEW_CHARACTERS)
}

/// The beginning of a text, of at most so many characters. It is cut where no written character is divided: an emoji, a
/// flag, and a letter with its accent can consist of several characters.
#[must_use]
pub fn beginning(text: &str, characters: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(characters) else { return text };
    let mut cursor = GraphemeCursor::new(end, text.len(), true);
    let boundary = match cursor.is_boundary(text, 0) {
        Ok(false) => cursor.prev_boundary(text, 0).ok().flatten(),
        _ => Some(end),
    };
    // A letter under hundreds of accents is cut after all.
    let end = boundary.filter(|boundary| *boundary > 0).unwrap_or(end);
    &text[..end]
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

    #[test]
    fn preview_divides_no_written_character() {
        let begin = "a".repeat(PREVIEW_CHARACTERS - 1);
        for character in
            ["👨\u{200d}👩\u{200d}👧\u{200d}👦", "👍🏽", "🇩🇪", "e\u{301}", "क्षि", "1\u{fe0f}\u{20e3}"]
        {
            assert_eq!(preview(&format!("{begin}{character} bye")), begin, "{character}");
            let fits = "a".repeat(PREVIEW_CHARACTERS - character.chars().count());
            assert_eq!(
                preview(&format!("{fits}{character}bye")),
                format!("{fits}{character}"),
                "{character}"
            );
        }
        // Flags are pairs, counted from the first one.
        assert_eq!(preview(&format!("a{}", "🇩🇪".repeat(200))).chars().count(), PREVIEW_CHARACTERS - 1);
        let accents = format!("e{}", "\u{301}".repeat(1_000));
        assert_eq!(preview(&accents).chars().count(), PREVIEW_CHARACTERS, "there is no other place to cut");
    }
}
