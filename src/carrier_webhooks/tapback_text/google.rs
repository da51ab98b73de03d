//! Reactions of Google Messages. Whatever the language of the words, invisible characters mark the parts: U+200B on both
//! sides of an emoji that is added, U+200C on both sides of one that is removed, and U+200A around the quotation. Known
//! from <https://github.com/quik-sms/quik/pull/533>.

use super::Reading;
use super::characters::{is_emoji, is_quotation_mark};
use crate::domain::ReactionType;

const ADDED: char = '\u{200b}';
const REMOVED: char = '\u{200c}';
const AROUND_QUOTATION: char = '\u{200a}';

/// Reads a reaction in any language. The text has no white space around it.
pub(super) fn read(text: &str) -> Option<Reading<'_>> {
    let marks: Vec<_> = text.char_indices().filter(|(_, c)| matches!(*c, ADDED | REMOVED)).collect();
    let (before, mark, emoji, after) = marks.windows(2).find_map(|pair| {
        let [(start, mark), (end, second)] = *pair else { return None };
        let emoji = text.get(start + mark.len_utf8()..end)?;
        let after = text.get(end + mark.len_utf8()..)?;
        (mark == second && is_emoji(emoji)).then_some((text.get(..start)?, mark, emoji, after))
    })?;
    // Some languages name the message first.
    let (message, start) = match quotation(after) {
        Some((message, start)) => (message, text.len() - after.len() + start),
        None => quotation(before)?,
    };
    Reading::new("", (ReactionType::Custom, mark == REMOVED), emoji.to_owned(), message, start)
}

/// The quotation in a part of the text, and where it begins.
fn quotation(part: &str) -> Option<(&str, usize)> {
    between(part, |c| c == AROUND_QUOTATION).or_else(|| between(part, is_quotation_mark))
}

/// What is between the first and the last of these characters.
fn between(part: &str, is_limit: impl Fn(char) -> bool) -> Option<(&str, usize)> {
    let (first, limit) = part.char_indices().find(|(_, c)| is_limit(*c))?;
    let start = first + limit.len_utf8();
    let end = part.rfind(&is_limit)?;
    part.get(start..end).map(|message| (message, start))
}
