//! Tapbacks in words, as an iPhone puts them for carriers and phones that know none: `Loved "see you at eight"`,
//! `Reacted 🎉 to "done"`, `Removed a heart from "see you at eight"`, `Liked an image`. In English: an iPhone that
//! speaks another language writes others, which stay texts.

use crate::domain::ReactionType;
use crate::messaging::inbound::{EMOJI_LIMIT, TapbackWords};
use crate::store::tapback_texts::Quoted;

/// How a tapback begins.
const PUT: [(&str, ReactionType); 7] = [
    ("Loved ", ReactionType::Love),
    ("Liked ", ReactionType::Like),
    ("Disliked ", ReactionType::Dislike),
    ("Laughed at ", ReactionType::Laugh),
    ("Emphasized ", ReactionType::Emphasize),
    ("Emphasised ", ReactionType::Emphasize),
    ("Questioned ", ReactionType::Question),
];

/// What is taken back, between `Removed ` and ` from `.
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

/// What stands for a message that has no words.
const FILES: [&str; 8] =
    ["an image", "a photo", "a video", "a movie", "an attachment", "an audio message", "a file", "a sticker"];

/// What a text says, where it reads like a tapback.
pub(super) fn parse(text: &str) -> Option<TapbackWords> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("Removed ") {
        // What is taken back comes first; the quotation may have the same words in it.
        let (what, on) = rest.split_once(" from ")?;
        let named = REMOVED.iter().find(|(name, _)| *name == what).map(|(_, reaction)| (*reaction, None));
        let (reaction, custom_emoji) = named.or_else(|| {
            let what = what.strip_prefix("a ").or_else(|| what.strip_prefix("an ")).unwrap_or(what);
            custom(what.strip_suffix(" reaction").unwrap_or(what))
        })?;
        return Some(TapbackWords { reaction, custom_emoji, removed: true, quoted: quoted(on)? });
    }
    if let Some(rest) = text.strip_prefix("Reacted ") {
        let (emoji, on) = rest.split_once(" to ")?;
        let (reaction, custom_emoji) = custom(emoji)?;
        return Some(TapbackWords { reaction, custom_emoji, removed: false, quoted: quoted(on)? });
    }
    let (reaction, on) =
        PUT.iter().find_map(|(verb, reaction)| text.strip_prefix(verb).map(|on| (*reaction, on)))?;
    Some(TapbackWords { reaction, custom_emoji: None, removed: false, quoted: quoted(on)? })
}

/// A custom tapback with this emoji; `None` for words.
fn custom(emoji: &str) -> Option<(ReactionType, Option<String>)> {
    let has_words = emoji.chars().any(|c| c.is_alphabetic() || c.is_whitespace() || c.is_control());
    // Some emoji begin with a digit, and none is one.
    let is_emoji = !has_words && !emoji.is_ascii() && emoji.chars().count() <= EMOJI_LIMIT;
    is_emoji.then(|| (ReactionType::Custom, Some(emoji.to_owned())))
}

/// What a tapback is on, where it ends with that.
fn quoted(on: &str) -> Option<Quoted> {
    if FILES.contains(&on) {
        return Some(Quoted::File);
    }
    let whole = on.strip_prefix(['“', '"'])?.strip_suffix(['”', '"'])?;
    if whole.trim().is_empty() {
        return None;
    }
    let beginning = whole.strip_suffix('…').or_else(|| whole.strip_suffix("..."));
    let beginning = beginning.map(str::trim_end).filter(|beginning| !beginning.is_empty());
    Some(Quoted::Text { whole: whole.to_owned(), beginning: beginning.map(str::to_owned) })
}

#[cfg(test)]
mod tests;
