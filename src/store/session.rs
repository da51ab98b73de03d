//! The pool of connections, and what is lent from it.
//!
//! The pool is deadpool's around sqlx's connection, not sqlx's own, for two reasons. sqlx's pool costs a ping per
//! release that cannot be turned off (a third of the time of a one-row read). And it hands out again a connection
//! whose future was dropped in the middle of `BEGIN`, so that a caller who hangs up poisons it for others; here a
//! session that was not seen to finish its work is closed instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::affects::Affects;
use super::failure::StoreError;
use super::link::{DatabaseTarget, DbConnection};
use super::standby::{Standby, started_at};
use crate::error::Error;
use crate::telemetry::trace;

/// Sessions older than this are replaced, so that they follow a failover and give memory back to the server.
const SESSION_AGE: Duration = Duration::from_mins(30);

/// A connection, and whether it can be used by the next caller.
pub(super) struct Connection {
    link: DbConnection,
    /// False while a query is under way: if its future is dropped, the session is not used again.
    at_rest: bool,
    opened_at: Instant,
    generation: u64,
}

/// Opens connections and decides which of them are lent again.
pub(super) struct Connector {
    endpoint: DatabaseTarget,
    /// Grows when a connection breaks: the idle ones of an older generation most likely broke with it.
    generation: AtomicU64,
    /// How many sessions were opened.
    pub(super) opened: AtomicU64,
    /// What the newest of them was told; see `DbConnection::is_distributed`.
    pub(super) is_distributed: AtomicBool,
    /// With the standby's own pool: the one that must be at the other end.
    standby: Option<Arc<Standby>>,
}

impl Connector {
    async fn connect(&self) -> sqlx::Result<Connection> {
        let generation = self.generation.load(Ordering::Acquire);
        let mut link = DbConnection::open(&self.endpoint).await?;
        if let Some(standby) = &self.standby
            && !standby.is_watched(started_at(&mut link).await?)
        {
            return Err(sqlx::Error::Configuration("another server than the standby that is watched".into()));
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.is_distributed.store(link.is_distributed(), Ordering::Relaxed);
        Ok(Connection { link, at_rest: true, opened_at: Instant::now(), generation })
    }

    pub(super) fn invalidate_idle(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<Connection> {
        // Boxed: what opens a connection is large and rare, and would be a part of every call's future.
        Box::pin(self.connect()).await
    }

    async fn recycle(&self, lent: &mut Connection, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if !lent.at_rest {
            return Err(RecycleError::message("left in the middle of its work"));
        }
        if lent.generation != self.generation.load(Ordering::Acquire) {
            return Err(RecycleError::message("as old as one that broke"));
        }
        if lent.opened_at.elapsed() > SESSION_AGE {
            return Err(RecycleError::message("old"));
        }
        Ok(())
    }
}

/// A pool of at most `sessions` connections, none of them opened yet.
pub(super) fn pool(
    endpoint: DatabaseTarget,
    sessions: usize,
    standby: Option<Arc<Standby>>,
) -> Result<Pool<Connector>, Error> {
    let connector = Connector {
        endpoint,
        generation: AtomicU64::new(0),
        opened: AtomicU64::new(0),
        is_distributed: AtomicBool::new(false),
        standby,
    };
    // The one that came back last is lent first: its process in PostgreSQL has its plans and pages at hand.
    Pool::builder(connector).max_size(sessions).queue_mode(QueueMode::Lifo).build().map_err(|error| {
        tracing::error!(error = %error, "pool not built");
        Error::Internal
    })
}

/// A session lent to one caller. Given back by dropping it, wherever its work then stands.
pub struct Session {
    object: Object<Connector>,
    is_distributed: bool,
    deadline: Instant,
    /// Where what the work changed is told.
    standby: Option<Arc<Standby>>,
}

impl Session {
    /// Lends a session of a pool, until a moment.
    pub(super) async fn lend(
        pool: &Pool<Connector>,
        deadline: Instant,
        affects: Affects,
        standby: Option<Arc<Standby>>,
    ) -> Result<Self, StoreError> {
        match timeout_at(deadline, pool.get()).await {
            Ok(Ok(mut object)) => {
                object.link.affects = affects;
                let is_distributed = object.link.is_distributed();
                Ok(Self { object, is_distributed, deadline, standby })
            }
            Ok(Err(PoolError::Backend(error))) => Err(StoreError::no_connection(error)),
            Ok(Err(_)) => Err(StoreError::Unavailable("the pool is closed")),
            Err(_) => Err(StoreError::Unavailable("no session within the operation limit")),
        }
    }

    /// Runs a statement, or several that need not agree.
    ///
    /// # Errors
    /// What the database answered, or `Unavailable` when the operation limit, counted from
    /// [`super::Database::acquire`], is over. Nothing is repeated: a statement may have been done when its connection
    /// broke.
    pub async fn run<'s, T, F>(
        &'s mut self,
        span: &'static str,
        work: impl FnOnce(&'s mut DbConnection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        traced(span, self.attempt(work)).await
    }

    /// Whether tables may be distributed; see `DbConnection::is_distributed`.
    pub(super) const fn is_distributed(&self) -> bool {
        self.is_distributed
    }

    /// The same without a span of its own.
    pub(super) async fn attempt<'s, T, F>(
        &'s mut self,
        work: impl FnOnce(&'s mut DbConnection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let deadline = self.deadline;
        let pool = Object::pool(&self.object);
        let Connection { link, at_rest, .. } = &mut *self.object;
        *at_rest = false;
        let Ok(result) = timeout_at(deadline, work(link)).await else {
            return Err(StoreError::Unavailable("no answer within the operation limit"));
        };
        *at_rest = !result.as_ref().is_err_and(StoreError::broke_connection);
        if !*at_rest && let Some(pool) = pool {
            pool.manager().invalidate_idle();
        }
        result
    }
}

/// Does a piece of work in a span of this name.
pub(super) async fn traced<T>(
    name: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let span = trace::store_span(name);
    let result = work.instrument(span.clone()).await;
    if result.is_err() {
        trace::failed(&span);
    }
    result
}

impl Drop for Session {
    /// What was written counts from here: the answer to its caller comes later.
    fn drop(&mut self) {
        if let Some(standby) = &self.standby {
            standby.marks.wrote(&self.object.link.affects);
        }
    }
}
