//! The wordings of all languages, from `wordings.tsv`.

use std::sync::LazyLock;

use super::Reading;
use super::characters::{folded, is_blank, is_emoji_character, is_quotation_mark};
use crate::domain::ReactionType;

const TABLE: &str = include_str!("wordings.tsv");

/// All wordings. A malformed line is left out; a test asserts that there is none.
pub(super) static WORDINGS: LazyLock<Wordings> = LazyLock::new(|| Wordings::parse(TABLE));

pub(super) struct Wordings {
    all: Vec<Wording>,
    /// The language and the name of messages that have no text.
    files: Vec<(&'static str, &'static str)>,
}

/// What a phone writes for one reaction in one language: something before the quoted message, and after it.
struct Wording {
    language: &'static str,
    reaction: ReactionType,
    removed: bool,
    before: Vec<Token>,
    after: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Character(char),
    /// Any quotation mark.
    Mark,
    /// Any number of blanks, also none.
    Blanks,
    /// A full stop, or none.
    Stop,
    Emoji,
}

impl Wordings {
    fn parse(table: &'static str) -> Self {
        let mut wordings = Self { all: Vec::new(), files: Vec::new() };
        for line in lines(table) {
            let columns: Vec<_> = line.split('\t').collect();
            if let [language, "file", "-", name, _source] = columns[..] {
                wordings.files.push((language, name));
            } else {
                wordings.all.extend(Wording::parse(&columns));
            }
        }
        wordings
    }

    /// Reads a text in each wording that fits. The text has no blanks around it.
    pub(super) fn readings<'t>(&self, text: &'t str) -> impl Iterator<Item = Reading<'t>> {
        self.all.iter().filter_map(move |wording| {
            wording.quotation(text).or_else(|| {
                wording.file(text).filter(|reading| self.is_file(wording.language, reading.message))
            })
        })
    }

    /// Whether a phone of this language calls a message without text so.
    fn is_file(&self, language: &str, name: &str) -> bool {
        // A region has the names of its language.
        self.files.iter().any(|(of, file)| language.starts_with(of) && *file == name)
    }
}

/// The lines of the table that have content.
fn lines(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

impl Wording {
    fn parse(columns: &[&'static str]) -> Option<Self> {
        let [language, change, reaction, pattern, _source] = *columns else { return None };
        let removed = match change {
            "add" => false,
            "remove" => true,
            _ => return None,
        };
        let reaction = match reaction {
            "love" => ReactionType::Love,
            "like" => ReactionType::Like,
            "dislike" => ReactionType::Dislike,
            "laugh" => ReactionType::Laugh,
            "emphasize" => ReactionType::Emphasize,
            "question" => ReactionType::Question,
            "emoji" => ReactionType::Custom,
            _ => return None,
        };
        let (before, after) = pattern.split_once("{message}")?;
        let after = match after.strip_suffix('.') {
            Some(after) => [tokens(after), vec![Token::Stop]].concat(),
            None => tokens(after),
        };
        Some(Self { language, reaction, removed, before: tokens(before), after })
    }

    fn quotation<'t>(&self, text: &'t str) -> Option<Reading<'t>> {
        self.split(&self.before, &self.after, text)
    }

    /// The name of a file has no quotation marks.
    fn file<'t>(&self, text: &'t str) -> Option<Reading<'t>> {
        let before = self.before.strip_suffix(&[Token::Mark, Token::Blanks])?;
        let after = self.after.strip_prefix(&[Token::Blanks, Token::Mark])?;
        Some(Reading { is_file: true, ..self.split(before, after, text)? })
    }

    /// Reads what is between `before` and `after` as the message.
    fn split<'t>(&self, before: &[Token], after: &[Token], text: &'t str) -> Option<Reading<'t>> {
        let (start, first) = consume(before.iter(), text.chars())?;
        let rest = text.get(start..)?;
        let (end, last) = consume(after.iter().rev(), rest.chars().rev())?;
        let message = rest.get(..rest.len().checked_sub(end)?)?;
        let emoji = first.into_iter().chain(last.into_iter().rev()).collect();
        Reading::new(self.language, (self.reaction, self.removed), emoji, message, start)
    }
}

/// Invisible characters may stand around each part, so blanks are allowed around quotation marks and emoji.
fn tokens(words: &str) -> Vec<Token> {
    let around = |token| [Token::Blanks, token, Token::Blanks];
    let mut tokens = Vec::new();
    for (at, words) in words.split("{emoji}").enumerate() {
        if at > 0 {
            tokens.extend(around(Token::Emoji));
        }
        for c in words.chars() {
            match c {
                _ if is_quotation_mark(c) => tokens.extend(around(Token::Mark)),
                _ if is_blank(c) => tokens.push(Token::Blanks),
                _ => tokens.push(Token::Character(folded(c))),
            }
        }
    }
    tokens
}

/// The number of bytes at the beginning of `text` that the tokens describe, and the emoji among them. Called with both
/// reversed for the end of a text.
fn consume<'t>(
    tokens: impl Iterator<Item = &'t Token>,
    text: impl Iterator<Item = char>,
) -> Option<(usize, Vec<char>)> {
    let mut text = text.peekable();
    let (mut bytes, mut emoji) = (0, Vec::new());
    for token in tokens {
        match token {
            Token::Character(expected) => bytes += text.next_if(|c| folded(*c) == *expected)?.len_utf8(),
            Token::Mark => bytes += text.next_if(|c| is_quotation_mark(*c))?.len_utf8(),
            Token::Stop => bytes += text.next_if_eq(&'.').map_or(0, char::len_utf8),
            Token::Blanks => {
                while let Some(c) = text.next_if(|c| is_blank(*c)) {
                    bytes += c.len_utf8();
                }
            }
            Token::Emoji => {
                while let Some(c) = text.next_if(|c| is_emoji_character(*c)) {
                    bytes += c.len_utf8();
                    emoji.push(c);
                }
            }
        }
    }
    Some((bytes, emoji))
}

#[cfg(test)]
mod tests;
