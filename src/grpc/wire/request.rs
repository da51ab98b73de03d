//! Parsing the fields of requests. All violations of a request are collected and reported together.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

use crate::domain::{IdentityId, TimeRange};
use crate::grpc::wire::page_token::{PageToken, RequestedPage, RequestedStart};
pub(in crate::grpc) use crate::validation::Violations;

/// How many rows a page has.
#[derive(Debug, Clone, Copy)]
pub(in crate::grpc) struct PageLimit {
    /// If the request has no limit.
    pub(in crate::grpc) default: u32,
    pub(in crate::grpc) max: u32,
}

/// The limit of almost all lists.
const PAGE_LIMIT: PageLimit = PageLimit { default: 50, max: 200 };

/// The fields that all lists of one or all identities' rows share.
#[derive(Debug)]
pub(in crate::grpc) struct ListParams {
    pub(in crate::grpc) identity_id: Option<IdentityId>,
    pub(in crate::grpc) page: RequestedPage,
}

/// Parsers of what only protobuf requests have; [`crate::validation`] has those that all APIs share.
impl Violations {
    /// A required id.
    pub(in crate::grpc) fn id<T: From<Uuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        // Only the hyphenated form: each id has one spelling.
        let parsed = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
        if parsed.is_none() {
            self.add(field, "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057");
        }
        parsed.map(Into::into)
    }

    /// An optional id; present but empty is malformed.
    #[expect(clippy::option_option, reason = "invalid, absent and present are three cases")]
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

    /// An optional enum field: unspecified (0) reads as `absent`.
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

    /// A required enum field.
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
    #[expect(clippy::option_option, reason = "invalid, absent and present are three cases")]
    pub(in crate::grpc) fn timestamp(
        &mut self,
        field: &str,
        time: Option<Timestamp>,
    ) -> Option<Option<DateTime<Utc>>> {
        let Some(time) = time else { return Some(None) };
        // Protobuf's valid range, the years 1 to 9999. PostgreSQL stores microseconds.
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

    /// The number of rows on a page of a list that has no page tokens.
    pub(in crate::grpc) fn limit(&mut self, limit: Option<i32>) -> Option<u32> {
        self.limit_within(PAGE_LIMIT, limit)
    }

    /// An optional number of seconds, from 0; absent = 0.
    pub(in crate::grpc) fn seconds(
        &mut self,
        field: &str,
        seconds: Option<i32>,
        max: i32,
    ) -> Option<Duration> {
        let seconds = seconds.unwrap_or(0);
        let valid = u64::try_from(seconds).ok().filter(|_| seconds <= max);
        if valid.is_none() {
            self.add(field, format!("must be 0 to {max}"));
        }
        valid.map(Duration::from_secs)
    }

    /// The bounds of a list by time. Rows have whole microseconds, so a bound between two of them means the later one.
    pub(in crate::grpc) fn time_range(
        &mut self,
        start_time: Option<Timestamp>,
        end_time: Option<Timestamp>,
    ) -> Option<TimeRange> {
        let mut bound = |field: &str, time: Option<Timestamp>| {
            let is_between = time.is_some_and(|time| time.nanos % 1_000 != 0);
            let round_up = TimeDelta::microseconds(is_between.into());
            Some(self.timestamp(field, time)?.map(|time| time + round_up))
        };
        let (start, end) = (bound("start_time", start_time), bound("end_time", end_time));
        Some(TimeRange::new(start?, end?))
    }

    /// Values outside of 1 to the maximum are rejected, never clamped.
    fn limit_within(&mut self, PageLimit { default, max }: PageLimit, limit: Option<i32>) -> Option<u32> {
        let Some(limit) = limit else { return Some(default) };
        let valid = u32::try_from(limit).ok().filter(|limit| (1..=max).contains(limit));
        if valid.is_none() {
            self.add("limit", format!("must be 1 to {max}"));
        }
        valid
    }

    /// The requested page. `ListBinding::start_of` checks the token's binding later, when the caller's scope is known.
    pub(in crate::grpc) fn page(
        &mut self,
        limit: Option<i32>,
        offset: Option<i32>,
        page_token: &str,
    ) -> Option<RequestedPage> {
        self.page_of(PAGE_LIMIT, limit, offset, page_token)
    }

    /// [`Self::page`] of a list with another limit.
    pub(in crate::grpc) fn page_of(
        &mut self,
        page_limit: PageLimit,
        limit: Option<i32>,
        offset: Option<i32>,
        page_token: &str,
    ) -> Option<RequestedPage> {
        let limit = self.limit_within(page_limit, limit);
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
            // An invalid offset is a violation already.
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

    /// The fields that the lists of connections, contact rules and conversations share.
    pub(in crate::grpc) fn list_params(
        &mut self,
        agent_identity_id: Option<&str>,
        limit: Option<i32>,
        offset: Option<i32>,
        page_token: &str,
    ) -> Option<ListParams> {
        let identity_id = self.optional_id("agent_identity_id", agent_identity_id);
        let page = self.page(limit, offset, page_token);
        Some(ListParams { identity_id: identity_id?, page: page? })
    }
}
