//! Normalises what carriers deliver, the same for all of them. The parsers of the carriers only extract fields.
//!
//! A carrier does not mend a message that is refused, and most do not deliver it again. So what can be repaired is
//! repaired here, and what carries no meaning for an agent is left out.

use chrono::{DateTime, Utc};

use crate::domain::{
    MAX_TEXT_CHARACTERS, MAX_URL_CHARACTERS, Media, NoNumber, PhoneNumber, Transport, beginning,
};

/// The place of a file in a text.
const OBJECT_REPLACEMENT: char = '\u{fffc}';
/// The place of something that cannot be shown as text: an app card, a poll, a place.
const REPLACEMENT: char = '\u{fffd}';
/// The end of a text that was cut.
const CUT: &str = " […]";
/// Files that phones attach to links for their preview. Nobody else can use them.
const HIDDEN_FILE: &str = ".pluginpayloadattachment";
/// Apple's epoch, 1970 and year 1 stand for "no time". There was no iMessage before 2007-01-01.
const FIRST_TIME: i64 = 1_167_609_600;

/// The words of a message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Words<'a> {
    pub(super) subject: Option<&'a str>,
    pub(super) text: Option<&'a str>,
    /// Whether the message is the card of an app, whose text stands for the card.
    pub(super) is_card: bool,
}

impl Words<'_> {
    /// The words that a human wrote, the subject on a line of its own; `None` if there are none.
    pub(super) fn text(self) -> Option<String> {
        let parts: Vec<_> =
            [self.subject, self.text].into_iter().flatten().filter_map(|part| self.clean(part)).collect();
        (!parts.is_empty()).then(|| shortened(parts.join("\n")))
    }

    fn clean(self, text: &str) -> Option<String> {
        // PostgreSQL cannot store NUL.
        let is_mark = |c: char| matches!(c, OBJECT_REPLACEMENT | '\0');
        let mut cleaned: String = text.chars().filter(|c| !is_mark(*c)).collect();
        let has_words = |text: &str| text.chars().any(|c| c != REPLACEMENT && !c.is_whitespace());
        if self.is_card || !has_words(&cleaned) {
            cleaned.retain(|c| c != REPLACEMENT);
        }
        if !has_words(&cleaned) {
            return None;
        }
        // Blanks that stood beside a mark are no part of the text.
        Some(if cleaned.len() == text.len() { cleaned } else { cleaned.trim().to_owned() })
    }
}

/// Cuts a text that is longer than one may be, and says so at its end: a human wrote it, and will not send it again.
fn shortened(mut text: String) -> String {
    if text.chars().count() > MAX_TEXT_CHARACTERS {
        let kept = beginning(&text, MAX_TEXT_CHARACTERS - CUT.chars().count()).len();
        text.truncate(kept);
        text.push_str(CUT);
        tracing::warn!("a received text was cut: it is longer than {MAX_TEXT_CHARACTERS} characters");
    }
    text
}

/// A file as a carrier names it.
#[derive(Debug, Clone, Default)]
pub(super) struct File<'a> {
    pub(super) url: String,
    pub(super) name: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
    pub(super) size_bytes: Option<i64>,
    pub(super) is_hidden: bool,
}

impl File<'_> {
    /// `None` for a file that an agent cannot use.
    pub(super) fn media(self) -> Option<Media> {
        let name = self.name.unwrap_or_default();
        if self.is_hidden || name.to_ascii_lowercase().ends_with(HIDDEN_FILE) {
            return None;
        }
        if self.url.chars().count() > MAX_URL_CHARACTERS {
            tracing::warn!("a file was left out of a received message: its URL is too long");
            return None;
        }
        let content_type = match self.content_type {
            Some(content_type) => Some(content_type.to_owned()),
            None => content_type_of(name).or_else(|| content_type_of(path_of(&self.url))),
        };
        Some(Media { url: self.url, content_type, size_bytes: self.size_bytes.filter(|bytes| *bytes >= 0) })
    }
}

/// The type that the extension of a file name stands for.
fn content_type_of(name: &str) -> Option<String> {
    mime_guess::from_path(name).first_raw().map(str::to_owned)
}

/// The path of a URL, without its query.
fn path_of(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// A time at which a message can have been sent; `None` for the values that stand for "no time".
pub(super) fn sent_at(time: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    time.filter(|time| time.timestamp() >= FIRST_TIME)
}

/// The transport of this name; `None` for a name that says nothing about it, such as `any`.
pub(super) fn transport(service: &str) -> Option<Transport> {
    match service.to_ascii_lowercase().as_str() {
        "imessage" | "imessagelite" => Some(Transport::IMessage),
        "sms" => Some(Transport::Sms),
        "rcs" => Some(Transport::Rcs),
        _ => None,
    }
}

const NO_HUMAN: &str = "from a short code or a named sender";

/// Who sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sender {
    Number(String),
    /// An e-mail address, a short code or a name. Humans are known by their phone numbers, so such a message belongs to
    /// nobody.
    NoNumber(&'static str),
}

/// The first address that is not empty. A national number belongs to the country of the line.
pub(super) fn sender<'a>(addresses: impl IntoIterator<Item = Option<&'a str>>, line_number: &str) -> Sender {
    let address = addresses.into_iter().flatten().map(str::trim).find(|address| !address.is_empty());
    let address = address.unwrap_or_default();
    if address.contains('@') {
        return Sender::NoNumber("from an e-mail address");
    }
    let without_scheme = address.split_once(':').map_or(address, |(_, number)| number);
    if without_scheme.contains(char::is_alphabetic) {
        return Sender::NoNumber(NO_HUMAN);
    }
    match PhoneNumber::from_notation(address, PhoneNumber::parse(line_number).ok().as_ref()) {
        Ok(number) => Sender::Number(number.into_string()),
        Err(NoNumber::ShortCode) => Sender::NoNumber(NO_HUMAN),
        // The validation names the field.
        Err(NoNumber::Malformed) => Sender::Number(address.to_owned()),
    }
}

/// The number of a line in E.164 form, which carriers may write in another notation. The country is never guessed.
pub(super) fn line_number(text: &str) -> String {
    PhoneNumber::from_notation(text, None).map_or_else(|_| text.to_owned(), PhoneNumber::into_string)
}

#[cfg(test)]
mod tests;
