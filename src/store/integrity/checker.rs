//! The connection on which a database is checked and mended, beside a service or without one.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{query_scalar, raw_sql};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::checks::{Breaches, Family, Invariant, Slice};
use crate::domain::OrganizationId;
use crate::store::{Endpoint, Failure, Link};

/// The longest that a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The longest that one look may take, and the server's own limit for its statements, which comes first: tables of any
/// size are read to their end.
const LOOK_LIMIT: Duration = Duration::from_mins(61);
/// One state of the database for all that is looked at together, and no way to change it.
const SNAPSHOT: &str =
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = '60min'";
/// The longest that a change may take: it keeps texts of a conversation waiting.
const CHANGE_LIMIT: Duration = Duration::from_mins(2);
const CHANGES: &str = "SET LOCAL statement_timeout = '1min'";
/// The nodes of a distributed database go by the same limits, whatever theirs are; and what is read to be compared may be
/// as much as there is.
const ON_ALL_NODES: &str =
    "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL citus.max_intermediate_result_size = -1";
/// How long to wait before each further look at what seems broken where tables are distributed: together longer than any
/// transaction of the service may take, and soon at first, since most of what was under way is over by then.
const UNTIL_NEXT_LOOK: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_millis(1_600),
];
/// Most organizations in one list.
const PAGE: i64 = 1_000;

/// A connection of its own, since what the service's sessions may take is far too little here.
pub struct Checker {
    link: Link,
}

impl Checker {
    /// Connects.
    ///
    /// # Errors
    /// `NoConnection`, `Unavailable`.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Failure> {
        let opening = timeout(CONNECT_LIMIT, Link::open(endpoint)).await;
        let link = opening.map_err(|_| Failure::Unavailable("no answer"))?.map_err(Failure::no_connection)?;
        Ok(Self { link })
    }

    /// Whether tables may be distributed, and a look sees each node at a moment of its own.
    #[must_use]
    pub const fn is_distributed(&self) -> bool {
        self.link.is_distributed()
    }

    /// Organizations after one, in the order of their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn organizations(&mut self, after: &str) -> Result<Vec<OrganizationId>, Failure> {
        let after = after.to_owned();
        self.within(SNAPSHOT, LOOK_LIMIT, |link| Box::pin(organizations(link, after))).await
    }

    /// What breaks an invariant of whole tables.
    ///
    /// # Errors
    /// The database's.
    pub async fn look_at_all(&mut self, invariant: &'static Invariant<()>) -> Result<Breaches, Failure> {
        let found = self.look(invariant, ()).await?;
        self.still_broken(invariant, (), found).await
    }

    async fn look<S: Send + Sync>(
        &mut self,
        invariant: &'static Invariant<S>,
        at: S,
    ) -> Result<Breaches, Failure> {
        let find = invariant.find;
        self.within(SNAPSHOT, LOOK_LIMIT, move |link| Box::pin(async move { find(link, &at).await })).await
    }

    /// What was found and is found each time that it is looked for again. A transaction that changes two nodes is seen on
    /// one of them first, so that one look at a distributed database may find what is only under way; elsewhere a look is
    /// at one state of everything.
    async fn still_broken<S: Clone + Send + Sync>(
        &mut self,
        invariant: &'static Invariant<S>,
        at: S,
        mut found: Breaches,
    ) -> Result<Breaches, Failure> {
        if !self.link.is_distributed() {
            return Ok(found);
        }
        for pause in UNTIL_NEXT_LOOK {
            if found.total == 0 {
                break;
            }
            sleep(pause).await;
            found = found.seen_again(self.look(invariant, at.clone()).await?);
        }
        Ok(found)
    }

    /// Looks at the next rows of a family: what breaks each of its invariants, how many rows that were, and the last
    /// of them; `None` for the last when there are no more.
    ///
    /// # Errors
    /// The database's.
    pub async fn look_at(&mut self, family: &'static Family, from: &Slice) -> Result<Look, Failure> {
        let mut slice = from.clone();
        let looking = self.within(SNAPSHOT, LOOK_LIMIT, move |link| {
            Box::pin(async move {
                let ids =
                    (family.ids)(link, slice.organization_id.as_str(), slice.after, family.rows).await?;
                let is_last = i64::try_from(ids.len()).is_ok_and(|rows| rows < family.rows);
                let next = ids.last().copied().filter(|_| !is_last);
                // The last one goes to the end, so that rows which point at a row that is not there are seen as well.
                slice.to = next.unwrap_or(Uuid::max());
                let mut found = Vec::new();
                for invariant in family.invariants {
                    found.push((invariant, (invariant.find)(link, &slice).await?));
                }
                Ok((slice, Look { found, rows: ids.len() as u64, next }))
            })
        });
        let (slice, mut look) = looking.await?;
        for (invariant, found) in &mut look.found {
            *found = self.still_broken(invariant, slice.clone(), std::mem::take(found)).await?;
        }
        Ok(look)
    }

    /// Changes something, in a transaction.
    pub(in crate::store) async fn change<T>(
        &mut self,
        work: impl for<'c> FnOnce(&'c mut Link) -> BoxFuture<'c, Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.within(CHANGES, CHANGE_LIMIT, work).await
    }

    async fn within<T>(
        &mut self,
        settings: &'static str,
        limit: Duration,
        work: impl for<'c> FnOnce(&'c mut Link) -> BoxFuture<'c, Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let link = &mut self.link;
        let done = timeout(limit, async {
            link.begin().await?;
            if link.is_distributed() {
                raw_sql(ON_ALL_NODES).execute(&mut *link).await?;
            }
            raw_sql(settings).execute(&mut *link).await?;
            let worked = work(link).await;
            link.end(worked).await
        });
        done.await.unwrap_or(Err(Failure::Unavailable("no answer")))
    }
}

/// What was seen of some rows.
pub struct Look {
    /// What breaks each invariant of the family.
    pub found: Vec<(&'static Invariant<Slice>, Breaches)>,
    /// How many rows were looked at.
    pub rows: u64,
    /// The last of them, where there may be more.
    pub next: Option<Uuid>,
}

async fn organizations(link: &mut Link, after: String) -> Result<Vec<OrganizationId>, Failure> {
    let ids = query_scalar!("SELECT id FROM organizations WHERE id > $1 ORDER BY id LIMIT $2", after, PAGE)
        .fetch_all(link)
        .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}
