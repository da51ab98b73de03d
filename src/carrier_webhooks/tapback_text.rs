//! Reads tapbacks that are sent as text, as phones do if the carrier or the other phone does not support tapbacks:
//! `Loved “see you at eight”`, `„Bis gleich“ ein Herz hinzugefügt`, `Removed 🎉 from “done”`, `Liked an image`.
//!
//! A text is a tapback only if it consists of a quotation and of exactly the words that a phone puts around it, and if
//! the quotation is that of a recent message. The first is decided here and without the database, because most texts
//! are no tapbacks; the second by [`receive_tapback_text`](crate::messaging::inbound::receive_tapback_text). So a
//! sentence of a human that quotes an earlier message stays a text.

mod characters;
mod google;
mod wordings;

use self::characters::{is_blank, is_emoji, is_padding};
use self::wordings::WORDINGS;
use crate::domain::ReactionType;
use crate::messaging::inbound::TapbackWords;
use crate::store::tapback_texts::Quoted;

/// The language whose words mean another reaction in Brazil.
const EUROPEAN_PORTUGUESE: &str = "pt-PT";
/// Beginnings of the numbers of people whose phones speak it: Portugal, Angola, Cape Verde, Guinea-Bissau, Mozambique,
/// São Tomé and Príncipe, East Timor.
const EUROPEAN_PORTUGUESE_NUMBERS: [&str; 7] = ["+351", "+244", "+238", "+245", "+258", "+239", "+670"];

/// A text that is a tapback if a message matches its quotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TapbackText {
    pub(super) words: TapbackWords,
    /// The text as it is shown if no message matches: without invisible characters around its parts.
    pub(super) visible: String,
}

/// `None` if the text is not a tapback. `sender` is the phone number of the human.
pub(super) fn parse(text: &str, sender: &str) -> Option<TapbackText> {
    let trimmed = text.trim_matches(is_blank);
    // Google Messages marks an emoji at the beginning of the text, too, so there only white space is no part of it.
    let (reading, read) = match of_wordings(trimmed, sender) {
        Some(reading) => (reading, trimmed),
        None => (google::read(text.trim())?, text.trim()),
    };
    let visible = if text.contains(is_padding) { reading.visible(read) } else { text.to_owned() };
    Some(TapbackText { visible, words: reading.words() })
}

/// The emoji that the words of a tapback name.
pub(super) fn emoji(text: &str) -> Option<String> {
    parse(text, "")?.words.custom_emoji
}

fn of_wordings<'t>(text: &'t str, sender: &str) -> Option<Reading<'t>> {
    let readings: Vec<_> = WORDINGS.readings(text).collect();
    let is_european = EUROPEAN_PORTUGUESE_NUMBERS.iter().any(|code| sender.starts_with(code));
    let fits = |reading: &Reading<'_>| (reading.language == EUROPEAN_PORTUGUESE) == is_european;
    let at = readings.iter().position(fits).unwrap_or_default();
    readings.into_iter().nth(at)
}

/// The parts of a tapback text.
struct Reading<'t> {
    /// Empty if the words were not needed.
    language: &'static str,
    reaction: ReactionType,
    /// Set for custom reactions only.
    emoji: Option<String>,
    removed: bool,
    /// The quoted message, without blanks around it, or the name of a file.
    message: &'t str,
    /// Where it begins in the text.
    start: usize,
    is_file: bool,
}

impl<'t> Reading<'t> {
    /// `message` is what begins at `start`, with blanks. `None` if nothing is quoted, or if the emoji is none.
    fn new(
        language: &'static str,
        (reaction, removed): (ReactionType, bool),
        emoji: String,
        message: &'t str,
        start: usize,
    ) -> Option<Self> {
        let blanks = message.len() - message.trim_start_matches(is_blank).len();
        let message = message.trim_matches(is_blank);
        let is_custom = reaction == ReactionType::Custom;
        if message.is_empty() || (is_custom && !is_emoji(&emoji)) {
            return None;
        }
        let emoji = is_custom.then_some(emoji);
        Some(Self { language, reaction, emoji, removed, message, start: start + blanks, is_file: false })
    }

    /// The text that was read, without invisible characters around its parts. Those in the quotation are part of it.
    fn visible(&self, text: &str) -> String {
        let (before, rest) = text.split_at(self.start);
        let (message, after) = rest.split_at(self.message.len());
        let without_padding = |part: &str| part.chars().filter(|c| !is_padding(*c)).collect::<String>();
        [&without_padding(before), message, &without_padding(after)].concat().trim().to_owned()
    }

    fn words(self) -> TapbackWords {
        let quoted = if self.is_file { Quoted::File } else { quoted(self.message) };
        TapbackWords { reaction: self.reaction, custom_emoji: self.emoji, removed: self.removed, quoted }
    }
}

fn quoted(message: &str) -> Quoted {
    let beginning = message.strip_suffix('…').or_else(|| message.strip_suffix("..."));
    let beginning = beginning.map(|text| text.trim_end_matches(is_blank)).filter(|text| !text.is_empty());
    Quoted::Text { whole: message.to_owned(), beginning: beginning.map(str::to_owned) }
}

#[cfg(test)]
mod tests;
