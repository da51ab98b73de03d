//! What must hold of the rows whatever was done to them, beyond what constraints say. Each invariant is one statement
//! that finds what breaks it, and so sees one state of the database, whoever writes meanwhile; one of each node, where it
//! is distributed.
//!
//! Where two tables are spread over nodes by different columns, each is read to a list of its own first (`WITH …
//! MATERIALIZED`), since a distributed database joins the lists and not the tables. A list may be joined to a table (it is
//! sent to each node), but not on the left of an outer join or in a NOT EXISTS.
//!
//! To add one: put it into the file of its table, and a way to break it into `tests/api/verification/breaches.rs`, which
//! misses it otherwise. Where the right state follows from other rows, `verify --repair` can mend it: name the [`Mend`].

mod children;
mod conversations;
mod global_tables;
mod keys;
mod messages;

pub use children::{CONNECTIONS, CONTACT_RULES, REACTIONS};
pub use conversations::CONVERSATIONS;
pub use messages::MESSAGES;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::store::{Failure, Link};
use crate::domain::OrganizationId;

/// Most breaches that one statement over a whole table gives; how many there are is told even so.
const LISTED: i64 = 1_000;

/// A statement under way.
type Looking<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// One thing that must hold.
pub struct Invariant<S: 'static> {
    /// What holds, in words.
    pub name: &'static str,
    /// How it is made to hold again; `None` where no other row says what is right.
    pub mend: Option<Mend>,
    pub(super) find: for<'a> fn(&'a mut Link, &'a S) -> Looking<'a, Breaches>,
}

/// What is rebuilt from other rows. The ids of the breaches are those of what is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// A conversation's summary, numbers and state, from its messages and the connections of its two.
    Conversation,
    /// The route of a connection, from the connection.
    Route,
    /// A line's count, from the routes.
    Line,
    /// What is remembered of a connection's human and line, from the connection.
    Remembered,
    /// What is remembered although there is no connection any more: all of it at once, by no id.
    Forgotten,
}

/// Part of one organization's rows of a table.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Rows with greater ids than this.
    pub after: Uuid,
    /// Rows up to this id.
    pub to: Uuid,
    /// Sends that began since have what finds them for delivery news: older ones may have been swept.
    pub findable_since: DateTime<Utc>,
}

/// A row that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Whose it is; `None` for what belongs to no organization.
    pub organization_id: Option<OrganizationId>,
    /// Its id; the number of a line. Never a human's number, since what is printed ends in logs.
    pub id: String,
}

/// Rows that break an invariant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaches {
    /// Some of them.
    pub some: Vec<Breach>,
    /// How many there are.
    pub total: u64,
}

impl Breaches {
    /// Those that a later look has found again; all of the later ones where there are more than either lists.
    pub(super) fn seen_again(self, mut later: Self) -> Self {
        let is_all = |breaches: &Self| breaches.some.len() as u64 == breaches.total;
        if is_all(&self) && is_all(&later) {
            later.some.retain(|breach| self.some.contains(breach));
            later.total = later.some.len() as u64;
        }
        later
    }

    fn of(slice: &Slice, ids: Vec<Uuid>) -> Self {
        let organization_id = Some(slice.organization_id.clone());
        let breach = |id: Uuid| Breach { organization_id: organization_id.clone(), id: id.to_string() };
        Self { total: ids.len() as u64, some: ids.into_iter().map(breach).collect() }
    }
}

/// A tenant table, and what must hold of its rows.
pub struct Family {
    /// The table.
    pub table: &'static str,
    /// How many rows are looked at in one go: a second's work or so, since a snapshot that is held for long keeps dead
    /// rows of the whole database from being cleared away.
    pub(super) rows: i64,
    pub(super) ids: for<'a> fn(&'a mut Link, &'a str, Uuid, i64) -> Looking<'a, Vec<Uuid>>,
    /// What must hold.
    pub invariants: &'static [Invariant<Slice>],
}

/// What must hold of tenants' rows.
pub const FAMILIES: [&Family; 5] = [&CONNECTIONS, &CONVERSATIONS, &MESSAGES, &REACTIONS, &CONTACT_RULES];

/// What must hold between global tables and all tenants' rows: a statement each over the whole of both, which are
/// small. In the order in which they are mended: a line counts its routes.
pub const WHOLE: [&[Invariant<()>]; 2] = [global_tables::WHOLE, keys::WHOLE];

/// What each of them is called.
pub fn names() -> impl Iterator<Item = &'static str> {
    let of_tenants =
        FAMILIES.into_iter().flat_map(|family| family.invariants).map(|invariant| invariant.name);
    of_tenants.chain(WHOLE.into_iter().flatten().map(|invariant| invariant.name))
}

/// An invariant of a slice: `$1` is the organization, `$2` and `$3` are the ends.
macro_rules! of_slice {
    ($name:literal, $mend:expr, $sql:tt $(, $more:ident)?) => {{
        fn find<'a>(
            link: &'a mut Link,
            slice: &'a Slice,
        ) -> Looking<'a, Breaches> {
            Box::pin(async move {
                let organization_id = slice.organization_id.as_str();
                let ids = sqlx::query_scalar!($sql, organization_id, slice.after, slice.to $(, slice.$more)?)
                    .fetch_all(link)
                    .await?;
                Ok(Breaches::of(slice, ids))
            })
        }
        Invariant { name: $name, mend: $mend, find }
    }};
}

/// An invariant of whole tables: `organization_id`, `id` and `total` of some breaches, `$1` of them at most.
macro_rules! of_all {
    ($name:literal, $mend:expr, $sql:tt) => {{
        fn find<'a>(link: &'a mut Link, (): &'a ()) -> Looking<'a, Breaches> {
            Box::pin(async move {
                let rows = sqlx::query!($sql, super::LISTED).fetch_all(link).await?;
                let total = rows.first().map_or(0, |row| row.total.unsigned_abs());
                let some = rows
                    .into_iter()
                    .map(|row| Breach { organization_id: row.organization_id.map(Into::into), id: row.id })
                    .collect();
                Ok(Breaches { some, total })
            })
        }
        Invariant { name: $name, mend: $mend, find }
    }};
}

/// The rows of a table after one, in the order of their ids.
macro_rules! family {
    ($table:literal, $rows:literal, $sql:tt, $invariants:expr) => {{
        fn ids<'a>(
            link: &'a mut Link,
            organization_id: &'a str,
            after: Uuid,
            limit: i64,
        ) -> Looking<'a, Vec<Uuid>> {
            Box::pin(async move {
                Ok(sqlx::query_scalar!($sql, organization_id, after, limit).fetch_all(link).await?)
            })
        }
        Family { table: $table, rows: $rows, ids, invariants: $invariants }
    }};
}

use {family, of_all, of_slice};
