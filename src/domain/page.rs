//! Pagination.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The position of a row in a list that is ordered by time, newest first, with ties broken by id (a keyset cursor). A
/// page that starts after a cursor neither skips nor repeats rows whose position did not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The time by which the list is ordered.
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

impl Cursor {
    /// Before all rows of all lists: no row has a later time.
    pub const START: Self = Self { at: DateTime::<Utc>::MAX_UTC, id: Uuid::max() };

    /// This position, or the one before all rows that are older than `end`, whichever comes later in the list.
    #[must_use]
    pub fn before(self, end: DateTime<Utc>) -> Self {
        if end <= self.at { Self { at: end, id: Uuid::nil() } } else { self }
    }
}

/// The beginning of the year 1, before which no carrier can date a message, in seconds of Unix time.
const YEAR_ONE: i64 = -62_135_596_800;

/// The times of the rows of a list: from `start`, and before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl TimeRange {
    /// All times that a row can have. `DateTime::MIN_UTC` is none of PostgreSQL's.
    pub const ALL: Self = Self {
        start: match DateTime::from_timestamp(YEAR_ONE, 0) {
            Some(time) => time,
            None => DateTime::UNIX_EPOCH,
        },
        end: DateTime::<Utc>::MAX_UTC,
    };

    /// `None` is no bound.
    #[must_use]
    pub fn new(start: Option<DateTime<Utc>>, end: Option<DateTime<Utc>>) -> Self {
        let Self { start: earliest, end: latest } = Self::ALL;
        Self { start: start.unwrap_or(earliest), end: end.unwrap_or(latest) }
    }
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After this many rows. The database reads and discards them, so the cost grows with the offset.
    Offset(u32),
    /// After this row. The cost does not depend on the position.
    After(Cursor),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Maximum number of rows, at least 1.
    pub limit: u32,
    pub start: Start,
}

impl PageRequest {
    /// The number of rows to read: one more than the page, which tells whether there is a next page.
    #[must_use]
    pub fn fetch_limit(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The number of rows to skip.
    #[must_use]
    pub fn offset(&self) -> i64 {
        match self.start {
            Start::Offset(rows) => i64::from(rows),
            Start::After(_) => 0,
        }
    }

    /// The cursor after which the page starts.
    #[must_use]
    pub const fn after(&self) -> Cursor {
        match self.start {
            Start::Offset(_) => Cursor::START,
            Start::After(cursor) => cursor,
        }
    }
}

/// Maximum size of a page in bytes, as of any other response: what gRPC clients accept by default.
pub const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The cursor of the last row; `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    #[must_use]
    pub const fn empty() -> Self {
        Self { rows: Vec::new(), next: None }
    }

    /// Makes a page of up to [`PageRequest::fetch_limit`] rows: removes the additional row, whose presence means that there
    /// is a next page.
    #[must_use]
    pub fn from_overfetch(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = limit as usize;
        let has_next = rows.len() > limit;
        rows.truncate(limit);
        let next = if has_next { rows.last().map(cursor) } else { None };
        Self { rows, next }
    }
}
