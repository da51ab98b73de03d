//! Pages of a list.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A row's place in a list: newest first, ties broken by id. A page that starts after it neither skips nor repeats
/// a row that did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The time by which the list is ordered.
    pub at: DateTime<Utc>,
    /// The row.
    pub id: Uuid,
}

impl Cursor {
    /// Before every row of every list: no row has a later time than the last day that PostgreSQL can store here.
    pub const START: Self = Self { at: DateTime::<Utc>::MAX_UTC, id: Uuid::max() };
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After this many rows. The database reads and drops them, so a deep offset costs more than a deep token.
    Offset(u32),
    /// After a row, wherever it is.
    After(Cursor),
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows on the page, at least 1.
    pub limit: u32,
    /// Where it starts.
    pub start: Start,
}

impl PageRequest {
    /// How many rows to read: one more than the page holds tells whether there is another page.
    #[must_use]
    pub fn fetch_limit(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// How many rows to pass over.
    #[must_use]
    pub fn offset(&self) -> i64 {
        match self.start {
            Start::Offset(rows) => i64::from(rows),
            Start::After(_) => 0,
        }
    }

    /// The place after which the page starts.
    #[must_use]
    pub const fn after(&self) -> Cursor {
        match self.start {
            Start::Offset(_) => Cursor::START,
            Start::After(position) => position,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows, in order.
    pub rows: Vec<T>,
    /// The last row's place, when there are more rows after it.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page without rows and without a next one.
    #[must_use]
    pub const fn empty() -> Self {
        Self { rows: Vec::new(), next: None }
    }

    /// Makes the page from [`PageRequest::fetch_limit`] rows: drops the one too many and remembers that it was there.
    #[must_use]
    pub fn from_overfetch(mut rows: Vec<T>, limit: u32, position: impl Fn(&T) -> Cursor) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(position) } else { None };
        Self { rows, next }
    }
}
