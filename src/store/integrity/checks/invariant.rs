//! What an invariant is, and how its statement is written.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::domain::OrganizationId;
use crate::store::{DbConnection, StoreError};

/// Maximum number of violations that a check of whole tables lists. [`Violations::total`] counts the others
/// as well.
pub(super) const MAX_LISTED: i64 = 1_000;

pub(super) type CheckFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A condition that must hold for all rows of a scope: a [`KeyRange`], or `()` for whole tables.
pub struct Invariant<S: 'static> {
    /// The condition in words, as it is printed.
    pub name: &'static str,
    /// How a violation is repaired; `None` if no other row determines the correct state.
    pub repair: Option<Repair>,
    pub(in crate::store::integrity) find:
        for<'a> fn(&'a mut DbConnection, &'a S) -> CheckFuture<'a, Violations>,
}

/// What is rebuilt from other rows. Each variant states what [`Violation::id`] identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Summary, message numbers and connection state of a conversation (id), from its messages and the
    /// connections of its identity and human.
    Conversation,
    /// The route of a connection (id), from the connection.
    Route,
    /// The number of active connections of a line (phone number), from the routes.
    LineCount,
    /// The `routed_organizations` row of a connection (id), from the connection.
    MissingContactHistory,
    /// `routed_organizations` rows without a connection: a batch at a time, whichever violation is given.
    OrphanedContactHistory,
    /// The conversation of a reaction (id), from its message.
    Reaction,
    /// Everything that an identity has under a number that is not canonical, found by a connection or contact rule (id). A
    /// conversation has the number of its connections.
    Subscriber,
}

/// Consecutive rows of one organization in one table.
#[derive(Debug, Clone)]
pub struct KeyRange {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Exclusive lower bound of the ids.
    pub after: Uuid,
    /// Inclusive upper bound of the ids.
    pub to: Uuid,
    /// Outbound messages created later must have a `sent_messages` row; those of older messages may have
    /// expired.
    pub findable_since: DateTime<Utc>,
    /// A regular expression of the numbers that are not canonical.
    pub former_forms: &'static str,
}

/// A row that violates an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Owner of the row; `None` for rows that belong to no organization.
    pub organization_id: Option<OrganizationId>,
    /// Id of the row, or the phone number of a line. Never a human's number, because the output may end up in
    /// logs.
    pub id: String,
}

/// The rows that violate an invariant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// Some or all of them.
    pub listed: Vec<Violation>,
    /// How many there are.
    pub total: u64,
}

impl Violations {
    /// Whether every violation is listed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.listed.len() as u64 == self.total
    }

    /// The violations that a later check found again. If either list is incomplete, all of the later ones.
    pub(in crate::store::integrity) fn confirmed_by(self, mut later: Self) -> Self {
        if self.is_complete() && later.is_complete() {
            later.listed.retain(|violation| self.listed.contains(violation));
            later.total = later.listed.len() as u64;
        }
        later
    }

    pub(super) fn in_range(range: &KeyRange, ids: Vec<Uuid>) -> Self {
        let organization_id = Some(range.organization_id.clone());
        let violation = |id: Uuid| Violation { organization_id: organization_id.clone(), id: id.to_string() };
        Self { total: ids.len() as u64, listed: ids.into_iter().map(violation).collect() }
    }
}

/// A tenant table and the invariants of its rows.
pub struct TableChecks {
    /// Name of the table.
    pub table: &'static str,
    /// Rows per [`KeyRange`]: about one second of work. A snapshot that is held longer keeps vacuum from
    /// removing dead rows in the whole database.
    pub(in crate::store::integrity) batch_size: i64,
    pub(in crate::store::integrity) ids:
        for<'a> fn(&'a mut DbConnection, &'a str, Uuid, i64) -> CheckFuture<'a, Vec<Uuid>>,
    /// The invariants.
    pub invariants: &'static [Invariant<KeyRange>],
}

/// An invariant of a [`KeyRange`]. The statement selects the ids of the violating rows; its parameters are
/// `$1` the organization, `$2` and `$3` the bounds of the range, and optionally `$4` a further field of the
/// range.
macro_rules! range_check {
    ($name:literal, $repair:expr, $sql:tt $(, $more:ident)?) => {{
        fn find<'a>(link: &'a mut DbConnection, range: &'a KeyRange) -> CheckFuture<'a, Violations> {
            Box::pin(async move {
                let organization_id = range.organization_id.as_str();
                let ids = sqlx::query_scalar!($sql, organization_id, range.after, range.to $(, range.$more)?)
                    .fetch_all(link)
                    .await?;
                Ok(Violations::in_range(range, ids))
            })
        }
        Invariant { name: $name, repair: $repair, find }
    }};
}

/// An invariant of whole tables. The statement selects `organization_id`, `id` and `total` of at most `$1`
/// violations.
macro_rules! global_check {
    ($name:literal, $repair:expr, $sql:tt) => {{
        fn find<'a>(link: &'a mut DbConnection, (): &'a ()) -> CheckFuture<'a, Violations> {
            Box::pin(async move {
                let rows = sqlx::query!($sql, MAX_LISTED).fetch_all(link).await?;
                let total = rows.first().map_or(0, |row| row.total.unsigned_abs());
                let listed = rows
                    .into_iter()
                    .map(|row| Violation { organization_id: row.organization_id.map(Into::into), id: row.id })
                    .collect();
                Ok(Violations { listed, total })
            })
        }
        Invariant { name: $name, repair: $repair, find }
    }};
}

/// The checks of a tenant table. The statement selects the next `$3` ids of organization `$1` after `$2`, in
/// order.
macro_rules! table_checks {
    ($table:literal, $batch_size:literal, $sql:tt, $invariants:expr) => {{
        fn ids<'a>(
            link: &'a mut DbConnection,
            organization_id: &'a str,
            after: Uuid,
            limit: i64,
        ) -> CheckFuture<'a, Vec<Uuid>> {
            Box::pin(async move {
                Ok(sqlx::query_scalar!($sql, organization_id, after, limit).fetch_all(link).await?)
            })
        }
        TableChecks { table: $table, batch_size: $batch_size, ids, invariants: $invariants }
    }};
}

pub(super) use {global_check, range_check, table_checks};
