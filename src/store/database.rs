//! Sessions with PostgreSQL: a bounded pool, and the only ways in which a query is run.
//!
//! The pool is deadpool's around sqlx's connection, not sqlx's own, for two reasons. sqlx's pool costs a ping per
//! release that cannot be turned off (a third of the time of a one-row read). And it hands out again a connection
//! whose future was dropped in the middle of `BEGIN`, so that a caller who hangs up poisons it for others; here a
//! session that was not seen to finish its work is closed instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Acquire as _, ConnectOptions as _};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::failure::Failure;
use crate::error::Error;
use crate::telemetry::trace;

/// The longest that a caller waits for the database, from asking for a session to the last row. Below the 3 s in
/// which every call answers when the database is down.
const OPERATION_LIMIT: Duration = Duration::from_millis(2_500);
/// How often a transaction is run when it loses to another (serialization failure, deadlock).
const ATTEMPTS: u32 = 4;
/// The longest pause before the next attempt; the pause is random, so that two losers do not meet again.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Sessions older than this are replaced, so that they follow a failover and give memory back to the server.
const SESSION_AGE: Duration = Duration::from_mins(30);

/// The database, as every part of the service uses it. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: Pool<Connector>,
    opened: Arc<AtomicBool>,
    tasks: TaskTracker,
}

/// A connection, and whether it can be used by the next caller.
struct Connection {
    raw: PgConnection,
    /// False while a query is under way: if its future is dropped, the session is not used again.
    at_rest: bool,
    opened_at: Instant,
    generation: u64,
}

struct Connector {
    options: PgConnectOptions,
    /// Grows when a connection breaks: the idle ones of an older generation most likely broke with it.
    generation: AtomicU64,
    /// How many sessions were opened.
    opened: AtomicU64,
}

impl Connector {
    fn distrust_idle(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<Connection> {
        let generation = self.generation.load(Ordering::Acquire);
        let raw = self.options.connect().await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Connection { raw, at_rest: true, opened_at: Instant::now(), generation })
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

/// How the pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Most sessions.
    pub most: usize,
    /// Sessions that are lent, or being opened.
    pub in_use: usize,
    /// Sessions that wait for a caller.
    pub idle: usize,
    /// Callers that wait for a session.
    pub waiting: usize,
    /// Sessions that were opened since the start.
    pub opened: u64,
}

/// A session lent to one caller. Given back by dropping it, wherever its work then stands.
pub struct Session {
    object: Object<Connector>,
    deadline: Instant,
}

impl Session {
    /// Runs a statement, or several that need not agree.
    ///
    /// # Errors
    /// What the database answered, or `Unavailable` when the operation limit, counted from [`Database::session`], is
    /// over. Nothing is repeated: a statement may have been done when its connection broke.
    pub async fn run<'s, T, F>(
        &'s mut self,
        work: impl FnOnce(&'s mut PgConnection) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let span = trace::store_span("query", &work);
        let result = self.attempt(work).instrument(span.clone()).await;
        if result.is_err() {
            trace::failed(&span);
        }
        result
    }

    async fn attempt<'s, T, F>(
        &'s mut self,
        work: impl FnOnce(&'s mut PgConnection) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let deadline = self.deadline;
        let pool = Object::pool(&self.object);
        let Connection { raw, at_rest, .. } = &mut *self.object;
        *at_rest = false;
        let Ok(result) = timeout_at(deadline, work(raw)).await else {
            return Err(Failure::Unavailable("no answer within the operation limit"));
        };
        *at_rest = !result.as_ref().is_err_and(Failure::broke_connection);
        if !*at_rest && let Some(pool) = pool {
            pool.manager().distrust_idle();
        }
        result
    }
}

impl Database {
    /// A pool of at most `sessions` connections, none of them opened yet. Nothing is answered until [`Self::open`].
    ///
    /// `tasks` owns the transactions under way, so that a drain can wait for them.
    ///
    /// # Errors
    /// Never in practice: deadpool refuses time-outs without a runtime, and none are set.
    pub fn new(options: &PgConnectOptions, sessions: usize, tasks: TaskTracker) -> Result<Self, Error> {
        let connector = Connector {
            options: with_limits(options),
            generation: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        };
        let pool = Pool::builder(connector).max_size(sessions).build().map_err(|error| {
            tracing::error!(error = %error, "pool not built");
            Error::Internal
        })?;
        Ok(Self { pool, opened: Arc::default(), tasks })
    }

    /// Lets queries through: the schema has been seen to be the one this program needs.
    pub fn open(&self) {
        self.opened.store(true, Ordering::Release);
    }

    /// Lends a session, which is to be used at once.
    ///
    /// # Errors
    /// `NoConnection` or `Unavailable`, within the operation limit.
    pub async fn session(&self) -> Result<Session, Failure> {
        if !self.opened.load(Ordering::Acquire) {
            return Err(Failure::Unavailable("not opened yet"));
        }
        let deadline = Instant::now() + OPERATION_LIMIT;
        match timeout_at(deadline, self.pool.get()).await {
            Ok(Ok(object)) => Ok(Session { object, deadline }),
            Ok(Err(PoolError::Backend(error))) => Err(Failure::NoConnection(error)),
            Ok(Err(_)) => Err(Failure::Unavailable("the pool is closed")),
            Err(_) => Err(Failure::Unavailable("no session within the operation limit")),
        }
    }

    /// Runs statements that must agree, in a transaction, in a task of its own: a caller who goes away changes
    /// nothing about it. The whole of `work` is repeated when the transaction loses to another.
    pub async fn transaction<T, F>(&self, work: F) -> Result<T, Failure>
    where
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, Failure>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let database = self.clone();
        let span = trace::store_span("transaction", &work);
        let repeated = async move {
            let mut attempt = 1;
            loop {
                let mut session = database.session().await?;
                match session.attempt(|connection| in_transaction(connection, &work)).await {
                    Err(failure) if failure.lost_to_another() && attempt < ATTEMPTS => {
                        attempt += 1;
                        let pause = rand::rng().random_range(Duration::ZERO..LONGEST_PAUSE);
                        sleep(pause).await;
                    }
                    other => return other,
                }
            }
        };
        let task = self.tasks.spawn(repeated.instrument(span.clone()).in_current_span());
        let result = task.await.unwrap_or_else(|error| {
            tracing::error!(error = %error, "transaction task ended early");
            Err(Error::Internal.into())
        });
        if result.is_err() {
            trace::failed(&span);
        }
        result
    }

    /// How the pool stands now.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        let status = self.pool.status();
        PoolState {
            most: status.max_size,
            in_use: status.size.saturating_sub(status.available),
            idle: status.available,
            waiting: status.waiting,
            opened: self.pool.manager().opened.load(Ordering::Relaxed),
        }
    }

    /// Replaces each idle connection before its next use: another connection to the same server broke, so that the next
    /// callers are spared from finding out.
    pub fn distrust_idle(&self) {
        self.pool.manager().distrust_idle();
    }

    /// Opens no more connections and lets the idle ones go.
    pub fn close(&self) {
        self.pool.close();
    }
}

async fn in_transaction<T>(
    connection: &mut PgConnection,
    work: &(impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, Failure>> + Sync),
) -> Result<T, Failure> {
    let mut transaction = connection.begin().await?;
    match work(&mut transaction).await {
        Ok(done) => {
            transaction.commit().await?;
            Ok(done)
        }
        Err(failure) => {
            // Awaited, not left to drop: the session must be seen to be out of the transaction.
            if !failure.broke_connection() {
                transaction.rollback().await?;
            }
            Err(failure)
        }
    }
}

/// The server's own limits, for what ours cannot reach: a statement whose caller is gone, a transaction whose
/// process is. And one plan a statement for all parameters, the one that tests/store/plans looks at: planned for given
/// ones, a list that is expected to be shorter than its page is read to its end and sorted.
fn with_limits(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().application_name("inkbox-imessage").options([
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("plan_cache_mode", "force_generic_plan"),
        // Starting workers takes longer than any statement here: a page of messages took 60 ms instead of 2.
        ("max_parallel_workers_per_gather", "0"),
    ])
}
