//! The connection on which a database is checked and repaired, with or without a running service.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{query_scalar, raw_sql};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::checks::{Invariant, KeyRange, TableChecks, Violations};
use crate::domain::OrganizationId;
use crate::store::{DatabaseTarget, DbConnection, StoreError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of a check: one read-only snapshot for all of its statements. The statement timeout is long
/// because tables of any size are read to their end.
const CHECK_SETTINGS: &str =
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = '60min'";
/// Client-side limit of a check, longer than the server's so that the server's error is seen first.
const CHECK_TIMEOUT: Duration = Duration::from_mins(61);

/// Settings of a repair.
const REPAIR_SETTINGS: &str = "SET LOCAL statement_timeout = '1min'";
/// Client-side limit of a repair, which blocks messages of a conversation while it runs.
const REPAIR_TIMEOUT: Duration = Duration::from_mins(2);

/// Settings on a distributed database: the limits above apply on every node, whatever the node's own are, and
/// the lists that are compared may be of any size.
const DISTRIBUTED_SETTINGS: &str =
    "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL citus.max_intermediate_result_size = -1";
/// Pauses before violations are checked again on a distributed database. Short at first, because most
/// concurrent transactions end soon; together longer than any transaction of the service may take.
const CONFIRMATION_DELAYS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_millis(1_600),
];

/// Organizations per page.
const PAGE_SIZE: i64 = 1_000;

/// A connection outside the service's pool, because the pool's statement timeouts are too short for checks.
pub struct Checker {
    link: DbConnection,
}

/// The result of checking one [`KeyRange`].
pub struct CheckResult {
    /// The violations of each invariant of the table.
    pub violations: Vec<(&'static Invariant<KeyRange>, Violations)>,
    /// How many rows were checked.
    pub rows: u64,
    /// The last id of the range, if there may be rows after it.
    pub next: Option<Uuid>,
}

impl Checker {
    /// Connects.
    ///
    /// # Errors
    /// `NoConnection`, `Unavailable`.
    pub async fn connect(endpoint: &DatabaseTarget) -> Result<Self, StoreError> {
        let opening = timeout(CONNECT_TIMEOUT, DbConnection::open(endpoint)).await;
        let link =
            opening.map_err(|_| StoreError::Unavailable("no answer"))?.map_err(StoreError::no_connection)?;
        Ok(Self { link })
    }

    /// Whether tables may be distributed, so that a check sees each node at a different moment.
    #[must_use]
    pub const fn is_distributed(&self) -> bool {
        self.link.is_distributed()
    }

    /// The next page of organizations after an id, in the order of their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn organizations(&mut self, after: &str) -> Result<Vec<OrganizationId>, StoreError> {
        let after = after.to_owned();
        self.in_transaction(CHECK_SETTINGS, CHECK_TIMEOUT, |link| Box::pin(organizations(link, after))).await
    }

    /// Checks an invariant of whole tables.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_global(
        &mut self,
        invariant: &'static Invariant<()>,
    ) -> Result<Violations, StoreError> {
        let found = self.find(invariant, ()).await?;
        self.confirm(invariant, (), found).await
    }

    /// Checks the invariants of a table for its next rows after `range.after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn check(
        &mut self,
        table: &'static TableChecks,
        range: &KeyRange,
    ) -> Result<CheckResult, StoreError> {
        let mut range = range.clone();
        let checking = self.in_transaction(CHECK_SETTINGS, CHECK_TIMEOUT, move |link| {
            Box::pin(async move {
                let organization_id = range.organization_id.as_str();
                let ids = (table.ids)(link, organization_id, range.after, table.batch_size).await?;
                let is_last = i64::try_from(ids.len()).is_ok_and(|rows| rows < table.batch_size);
                let next = ids.last().copied().filter(|_| !is_last);
                // The last range has no upper bound, so that it includes rows which refer to a row that does
                // not exist.
                range.to = next.unwrap_or(Uuid::max());
                let mut violations = Vec::new();
                for invariant in table.invariants {
                    violations.push((invariant, (invariant.find)(link, &range).await?));
                }
                Ok((range, CheckResult { violations, rows: ids.len() as u64, next }))
            })
        });
        let (range, mut result) = checking.await?;
        for (invariant, found) in &mut result.violations {
            *found = self.confirm(invariant, range.clone(), std::mem::take(found)).await?;
        }
        Ok(result)
    }

    /// Runs a repair in a transaction.
    pub(super) async fn repair<T>(
        &mut self,
        work: impl for<'c> FnOnce(&'c mut DbConnection) -> BoxFuture<'c, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.in_transaction(REPAIR_SETTINGS, REPAIR_TIMEOUT, work).await
    }

    async fn find<S: Send + Sync>(
        &mut self,
        invariant: &'static Invariant<S>,
        scope: S,
    ) -> Result<Violations, StoreError> {
        let find = invariant.find;
        self.in_transaction(CHECK_SETTINGS, CHECK_TIMEOUT, move |link| {
            Box::pin(async move { find(link, &scope).await })
        })
        .await
    }

    /// Removes violations that are not found again by every repeated check. Needed on a distributed database
    /// only: a transaction that writes on two nodes becomes visible on one of them first, so one check may
    /// see half of it.
    async fn confirm<S: Clone + Send + Sync>(
        &mut self,
        invariant: &'static Invariant<S>,
        scope: S,
        mut found: Violations,
    ) -> Result<Violations, StoreError> {
        if !self.link.is_distributed() {
            return Ok(found);
        }
        for delay in CONFIRMATION_DELAYS {
            if found.total == 0 {
                break;
            }
            sleep(delay).await;
            found = found.confirmed_by(self.find(invariant, scope.clone()).await?);
        }
        Ok(found)
    }

    async fn in_transaction<T>(
        &mut self,
        settings: &'static str,
        limit: Duration,
        work: impl for<'c> FnOnce(&'c mut DbConnection) -> BoxFuture<'c, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let link = &mut self.link;
        let done = timeout(limit, async {
            link.begin().await?;
            if link.is_distributed() {
                raw_sql(DISTRIBUTED_SETTINGS).execute(&mut *link).await?;
            }
            raw_sql(settings).execute(&mut *link).await?;
            let worked = work(link).await;
            link.end(worked).await
        });
        done.await.unwrap_or(Err(StoreError::Unavailable("no answer")))
    }
}

async fn organizations(link: &mut DbConnection, after: String) -> Result<Vec<OrganizationId>, StoreError> {
    let ids =
        query_scalar!("SELECT id FROM organizations WHERE id > $1 ORDER BY id LIMIT $2", after, PAGE_SIZE)
            .fetch_all(link)
            .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}
