//! Parses tapbacks that are sent as text, as an iPhone does if the carrier or the phone does not support tapbacks:
//! `Loved "see you at eight"`, `Reacted 🎉 to "done"`, `Removed a heart from "see you at eight"`, `Liked an image`.
//! English only: tapback texts of an iPhone in another language are stored as texts.

use crate::domain::ReactionType;
use crate::messaging::inbound::{MAX_EMOJI_CHARACTERS, TapbackWords};
use crate::store::tapback_texts::Quoted;

/// The beginnings of texts that add a tapback.
const ADDED: [(&str, ReactionType); 7] = [
    ("Loved ", ReactionType::Love),
    ("Liked ", ReactionType::Like),
    ("Disliked ", ReactionType::Dislike),
    ("Laughed at ", ReactionType::Laugh),
    ("Emphasized ", ReactionType::Emphasize),
    ("Emphasised ", ReactionType::Emphasize),
    ("Questioned ", ReactionType::Question),
];

/// The names of removed tapbacks, between `Removed ` and ` from `.
const REMOVED: [(&str, ReactionType); 9] = [
    ("a heart", ReactionType::Love),
    ("a like", ReactionType::Like),
    ("a dislike", ReactionType::Dislike),
    ("a laugh", ReactionType::Laugh),
    ("an exclamation", ReactionType::Emphasize),
    ("an exclamation mark", ReactionType::Emphasize),
    ("an exclamation point", ReactionType::Emphasize),
    ("a question mark", ReactionType::Question),
    ("a question", ReactionType::Question),
];

/// The names of messages that have no text.
const FILES: [&str; 8] =
    ["an image", "a photo", "a video", "a movie", "an attachment", "an audio message", "a file", "a sticker"];

/// `None` if the text is not a tapback.
pub(super) fn parse(text: &str) -> Option<TapbackWords> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("Removed ") {
        // Split at the first " from ": the quotation may contain it, too.
        let (what, target) = rest.split_once(" from ")?;
        let named = REMOVED.iter().find(|(name, _)| *name == what).map(|(_, reaction)| (*reaction, None));
        let (reaction, custom_emoji) = named.or_else(|| {
            let what = what.strip_prefix("a ").or_else(|| what.strip_prefix("an ")).unwrap_or(what);
            custom(what.strip_suffix(" reaction").unwrap_or(what))
        })?;
        return Some(TapbackWords { reaction, custom_emoji, removed: true, quoted: quoted(target)? });
    }
    if let Some(rest) = text.strip_prefix("Reacted ") {
        let (emoji, target) = rest.split_once(" to ")?;
        let (reaction, custom_emoji) = custom(emoji)?;
        return Some(TapbackWords { reaction, custom_emoji, removed: false, quoted: quoted(target)? });
    }
    let (reaction, target) = ADDED
        .iter()
        .find_map(|(verb, reaction)| text.strip_prefix(verb).map(|target| (*reaction, target)))?;
    Some(TapbackWords { reaction, custom_emoji: None, removed: false, quoted: quoted(target)? })
}

/// A custom tapback with this emoji; `None` if the text is not an emoji.
fn custom(emoji: &str) -> Option<(ReactionType, Option<String>)> {
    let has_words = emoji.chars().any(|c| c.is_alphabetic() || c.is_whitespace() || c.is_control());
    // Some emoji begin with a digit, but none is a digit.
    let is_emoji = !has_words && !emoji.is_ascii() && emoji.chars().count() <= MAX_EMOJI_CHARACTERS;
    is_emoji.then(|| (ReactionType::Custom, Some(emoji.to_owned())))
}

/// The message that a tapback belongs to; `None` if the text continues after it.
fn quoted(target: &str) -> Option<Quoted> {
    if FILES.contains(&target) {
        return Some(Quoted::File);
    }
    let whole = target.strip_prefix(['“', '"'])?.strip_suffix(['”', '"'])?;
    if whole.trim().is_empty() {
        return None;
    }
    let beginning = whole.strip_suffix('…').or_else(|| whole.strip_suffix("..."));
    let beginning = beginning.map(str::trim_end).filter(|beginning| !beginning.is_empty());
    Some(Quoted::Text { whole: whole.to_owned(), beginning: beginning.map(str::to_owned) })
}

#[cfg(test)]
mod tests;
