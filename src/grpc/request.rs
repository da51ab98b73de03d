//! Reading requests. Wrong fields are collected, not reported one by one.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

use super::page_token::PageToken;
use crate::domain::PhoneNumber;
use crate::error::{Error, FieldViolation, Result};

/// Rows on a page when the caller does not say.
const DEFAULT_LIMIT: u32 = 50;
/// Most rows on a page.
const MOST_ROWS: i32 = 200;

/// Collects the wrong fields of one request. Each method reads a field and returns `None` where it is wrong, having
/// written down why; [`Fields::finish`] gives the parsed request only when nothing was.
#[derive(Debug, Default)]
pub(super) struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    /// The parsed request, or every wrong field at once.
    pub(super) fn finish<T>(self, parsed: impl FnOnce() -> Option<T>) -> Result<T> {
        if !self.violations.is_empty() {
            return Err(Error::InvalidArgument(self.violations));
        }
        parsed().ok_or_else(|| {
            tracing::error!("a field was refused without saying why");
            Error::Internal
        })
    }

    /// Writes down that a field is wrong.
    pub(super) fn refuse(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(FieldViolation { field: field.into(), description: description.into() });
    }

    /// A required id.
    pub(super) fn id<T: From<Uuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        // The hyphenated form alone: other spellings of a uuid would make two texts of one id.
        let parsed = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
        if parsed.is_none() {
            self.refuse(field, "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057");
        }
        parsed.map(Into::into)
    }

    /// An optional id; present but empty is malformed.
    #[expect(clippy::option_option, reason = "wrong, absent and present are three things")]
    pub(super) fn optional_id<T: From<Uuid>>(
        &mut self,
        field: &str,
        text: Option<&str>,
    ) -> Option<Option<T>> {
        match text {
            None => Some(None),
            Some(text) => self.id(field, text).map(Some),
        }
    }

    /// A phone number.
    pub(super) fn phone_number(&mut self, field: &str, text: &str) -> Option<PhoneNumber> {
        match PhoneNumber::parse(text) {
            Ok(number) => Some(number),
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }

    /// Text for the database, unchanged. PostgreSQL stores every character but NUL.
    pub(super) fn text(&mut self, field: &str, text: String, most_characters: usize) -> Option<String> {
        if text.contains('\0') {
            self.refuse(field, "must not contain the NUL character");
            return None;
        }
        // Bytes are at least as many as characters, so most texts need no count.
        if text.len() > most_characters && text.chars().count() > most_characters {
            self.refuse(field, format!("must be at most {most_characters} characters"));
            return None;
        }
        Some(text)
    }

    /// Text that must not be empty.
    pub(super) fn required_text(
        &mut self,
        field: &str,
        text: String,
        most_characters: usize,
    ) -> Option<String> {
        if text.is_empty() {
            self.refuse(field, "is required");
            return None;
        }
        self.text(field, text, most_characters)
    }

    /// An enum field: unspecified gives `absent`, a number that the enum does not have is refused.
    pub(super) fn optional_enum<T>(
        &mut self,
        field: &str,
        number: i32,
        from_wire: impl FnOnce(i32) -> Option<T>,
        absent: T,
    ) -> Option<T> {
        if number == 0 {
            return Some(absent);
        }
        let value = from_wire(number);
        if value.is_none() {
            self.refuse(field, format!("has no value {number}"));
        }
        value
    }

    /// An enum field that must have a value.
    pub(super) fn required_enum<T>(
        &mut self,
        field: &str,
        number: i32,
        from_wire: impl FnOnce(i32) -> Option<T>,
    ) -> Option<T> {
        if number == 0 {
            self.refuse(field, "is required");
            return None;
        }
        let value = from_wire(number);
        if value.is_none() {
            self.refuse(field, format!("has no value {number}"));
        }
        value
    }

    /// Which part of a message, from 0.
    pub(super) fn part_index(&mut self, part_index: i32, parts: i32) -> Option<i32> {
        if !(0..parts).contains(&part_index) {
            self.refuse("part_index", format!("must be 0 to {}", parts - 1));
            return None;
        }
        Some(part_index)
    }

    /// A point in time that PostgreSQL can store.
    #[expect(clippy::option_option, reason = "wrong, absent and present are three things")]
    pub(super) fn timestamp(
        &mut self,
        field: &str,
        time: Option<Timestamp>,
    ) -> Option<Option<DateTime<Utc>>> {
        let Some(time) = time else { return Some(None) };
        // What protobuf calls valid: the years 1 to 9999. PostgreSQL keeps microseconds.
        let valid = (-62_135_596_800..=253_402_300_799).contains(&time.seconds);
        let micros = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).map(|n| n / 1_000);
        let parsed = micros
            .filter(|_| valid)
            .and_then(|micros| DateTime::from_timestamp(time.seconds, micros * 1_000));
        if parsed.is_none() {
            self.refuse(field, "must be a time in the years 1 to 9999, with nanos in 0..=999,999,999");
        }
        parsed.map(Some)
    }

    /// Rows on a page: absent = 50, else 1 to 200; never clamped.
    fn limit(&mut self, limit: Option<i32>) -> Option<u32> {
        match limit {
            None => Some(DEFAULT_LIMIT),
            Some(limit @ 1..=MOST_ROWS) => u32::try_from(limit).ok(),
            Some(_) => {
                self.refuse("limit", format!("must be 1 to {MOST_ROWS}"));
                None
            }
        }
    }

    /// Which page is wanted. The token's binding is checked later, when the caller's scope is known.
    pub(super) fn page(
        &mut self,
        limit: Option<i32>,
        offset: Option<i32>,
        page_token: &str,
    ) -> Option<RequestedPage> {
        let limit = self.limit(limit);
        let rows = match offset.map(u32::try_from) {
            None => Some(0),
            Some(Ok(rows)) => Some(rows),
            Some(Err(_)) => {
                self.refuse("offset", "must be 0 or more");
                None
            }
        };
        if page_token.is_empty() {
            return Some(RequestedPage { limit: limit?, start: RequestedStart::Offset(rows?) });
        }
        if offset.is_some() {
            let together = "offset and page_token cannot be given together";
            // An offset that is wrong by itself has been named.
            if rows.is_some() {
                self.refuse("offset", together);
            }
            self.refuse("page_token", together);
            return None;
        }
        let token = PageToken::decode(page_token);
        if token.is_none() {
            self.refuse("page_token", "is not one that this service gave");
        }
        Some(RequestedPage { limit: limit?, start: RequestedStart::Token(token?) })
    }
}

/// A page as it was asked for.
#[derive(Debug)]
pub(super) struct RequestedPage {
    pub(super) limit: u32,
    pub(super) start: RequestedStart,
}

/// Where it starts.
#[derive(Debug)]
pub(super) enum RequestedStart {
    Offset(u32),
    Token(PageToken),
}
