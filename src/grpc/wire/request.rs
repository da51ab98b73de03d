//! Reading requests. Wrong fields are collected, not reported one by one.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

use crate::grpc::wire::page_token::PageToken;
pub(in crate::grpc) use crate::validation::Violations;

/// Rows on a page when the caller does not say.
const DEFAULT_LIMIT: u32 = 50;
/// Most rows on a page.
const MOST_ROWS: i32 = 200;

/// What only requests have; the rest is in [`crate::validation`].
impl Violations {
    /// A required id.
    pub(in crate::grpc) fn id<T: From<Uuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        // The hyphenated form alone: other spellings of a uuid would make two texts of one id.
        let parsed = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
        if parsed.is_none() {
            self.add(field, "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057");
        }
        parsed.map(Into::into)
    }

    /// An optional id; present but empty is malformed.
    #[expect(clippy::option_option, reason = "wrong, absent and present are three things")]
    pub(in crate::grpc) fn optional_id<T: From<Uuid>>(
        &mut self,
        field: &str,
        text: Option<&str>,
    ) -> Option<Option<T>> {
        match text {
            None => Some(None),
            Some(text) => self.id(field, text).map(Some),
        }
    }

    /// An enum field: unspecified gives `absent`, a number that the enum does not have is refused.
    pub(in crate::grpc) fn optional_enum<T>(
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
            self.add(field, format!("unknown enum value {number}"));
        }
        value
    }

    /// An enum field that must have a value.
    pub(in crate::grpc) fn required_enum<T>(
        &mut self,
        field: &str,
        number: i32,
        from_wire: impl FnOnce(i32) -> Option<T>,
    ) -> Option<T> {
        if number == 0 {
            self.add(field, "is required");
            return None;
        }
        let value = from_wire(number);
        if value.is_none() {
            self.add(field, format!("unknown enum value {number}"));
        }
        value
    }

    /// A point in time that PostgreSQL can store.
    #[expect(clippy::option_option, reason = "wrong, absent and present are three things")]
    pub(in crate::grpc) fn timestamp(
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
            self.add(field, "must be a valid timestamp: years 1 to 9999, nanos 0 to 999999999");
        }
        parsed.map(Some)
    }

    /// Rows on a page: absent = 50, else 1 to 200; never clamped.
    fn limit(&mut self, limit: Option<i32>) -> Option<u32> {
        match limit {
            None => Some(DEFAULT_LIMIT),
            Some(limit @ 1..=MOST_ROWS) => u32::try_from(limit).ok(),
            Some(_) => {
                self.add("limit", format!("must be 1 to {MOST_ROWS}"));
                None
            }
        }
    }

    /// Which page is wanted. The token's binding is checked later, when the caller's scope is known.
    pub(in crate::grpc) fn page(
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
                self.add("offset", "must be 0 or more");
                None
            }
        };
        if page_token.is_empty() {
            return Some(RequestedPage { limit: limit?, start: RequestedStart::Offset(rows?) });
        }
        if offset.is_some() {
            let together = "offset and page_token are mutually exclusive";
            // An offset that is wrong by itself has been named.
            if rows.is_some() {
                self.add("offset", together);
            }
            self.add("page_token", together);
            return None;
        }
        let token = PageToken::decode(page_token);
        if token.is_none() {
            self.add("page_token", "is malformed");
        }
        Some(RequestedPage { limit: limit?, start: RequestedStart::Token(token?) })
    }
}

/// A page as it was asked for.
#[derive(Debug)]
pub(in crate::grpc) struct RequestedPage {
    pub(in crate::grpc) limit: u32,
    pub(in crate::grpc) start: RequestedStart,
}

/// Where it starts.
#[derive(Debug)]
pub(in crate::grpc) enum RequestedStart {
    Offset(u32),
    Token(PageToken),
}
