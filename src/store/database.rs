//! The database as every part of the service uses it, and the only ways in which a query is run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::Pool;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::affects::Affects;
use super::conversations::{ConversationById, MarkRead, PageOfConversations, TargetById};
use super::failure::StoreError;
use super::gathered::Gathered;
use super::inbound::{RouteOfText, SituationOfText, StoreText};
use super::link::{DatabaseTarget, DbConnection, Pooler};
use super::session::{self, Connector, Session, traced};
use super::standby::{ReplicaSettings, Standby, Watch};
use crate::error::Error;

/// The longest that a caller waits for the database, from asking for a session to the last row. Below the 3 s in
/// which every call answers when the database is down.
pub(super) const OPERATION_LIMIT: Duration = Duration::from_millis(2_500);
/// How often a transaction is run when it loses to another (serialization failure, deadlock).
const ATTEMPTS: u32 = 4;
/// The longest pause before the next attempt; the pause is random, so that two losers do not meet again.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    primary: DatabaseTarget,
    pool: Pool<Connector>,
    pub(super) standby: Option<(Arc<Standby>, Pool<Connector>)>,
    standby_endpoint: Option<DatabaseTarget>,
    opened: Arc<AtomicBool>,
    /// How long the caller who was lent a session last had waited for it, in microseconds.
    waited: Arc<AtomicU64>,
    pub(super) shared: Arc<Statements>,
    pub(super) tasks: TaskTracker,
}

/// The statements that callers share.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) conversations: Gathered<ConversationById>,
    pub(super) pages: Gathered<PageOfConversations>,
    pub(super) targets: Gathered<TargetById>,
    pub(super) marks: Gathered<MarkRead>,
    pub(super) routes: Gathered<RouteOfText>,
    pub(super) situations: Gathered<SituationOfText>,
    pub(super) texts: Gathered<StoreText>,
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

impl Database {
    /// A pool of at most `sessions` connections, none of them opened yet. Nothing is answered until [`Self::open`].
    ///
    /// `tasks` owns the transactions under way, so that a drain can wait for them.
    ///
    /// # Errors
    /// Never in practice: deadpool refuses time-outs without a runtime, and none are set.
    pub fn new(
        primary: impl Into<DatabaseTarget>,
        sessions: usize,
        tasks: TaskTracker,
    ) -> Result<Self, Error> {
        let primary = primary.into();
        let pool = session::pool(primary.clone(), sessions, None)?;
        Ok(Self {
            primary,
            pool,
            standby: None,
            standby_endpoint: None,
            opened: Arc::default(),
            waited: Arc::default(),
            shared: Arc::default(),
            tasks,
        })
    }

    /// The same with a standby for lists and gets, and as many connections to it. It is read from once
    /// [`Self::watch_standby`] has seen that it keeps up.
    ///
    /// # Errors
    /// See [`Self::new`].
    pub fn with_standby(mut self, settings: ReplicaSettings) -> Result<Self, Error> {
        let endpoint = DatabaseTarget::new(settings.options, Pooler::None);
        let standby = Arc::new(Standby::new(settings.longest_lag));
        let sessions = self.pool.status().max_size;
        let pool = session::pool(endpoint.clone(), sessions, Some(standby.clone()))?;
        self.standby = Some((standby, pool));
        self.standby_endpoint = Some(endpoint);
        Ok(self)
    }

    /// Whether lists and gets may be read from a standby.
    pub(super) const fn has_standby(&self) -> bool {
        self.standby.is_some()
    }

    /// Whether tables may be distributed, as far as it is known: not before the first session; see
    /// `DbConnection::is_distributed`.
    pub(super) fn is_distributed(&self) -> bool {
        self.pool.manager().is_distributed.load(Ordering::Relaxed)
    }

    /// Lets queries through: the schema has been seen to be the one this program needs.
    pub fn open(&self) {
        self.opened.store(true, Ordering::Release);
    }

    /// Watches the standby for ever, where there is one, on two connections besides those of the pools.
    pub async fn watch_standby(&self) {
        if let (Some((standby, _)), Some(endpoint)) = (&self.standby, &self.standby_endpoint) {
            Watch::new(standby.clone(), self.primary.clone(), endpoint.clone(), self.clone()).run().await;
        }
    }

    /// Waits for a session on the primary, which is to be used at once. `affects` says what the work may change: the
    /// narrower it is, the more reads the replica can serve.
    ///
    /// # Errors
    /// `NoConnection` or `Unavailable`, within the operation limit.
    pub async fn acquire(&self, affects: Affects) -> Result<Session, StoreError> {
        self.lend(Instant::now() + OPERATION_LIMIT, affects).await
    }

    pub(super) async fn lend(&self, deadline: Instant, affects: Affects) -> Result<Session, StoreError> {
        if !self.opened.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("not opened yet"));
        }
        let standby = self.standby.as_ref().map(|(standby, _)| standby.clone());
        let asked = Instant::now();
        let lent = Session::lend(&self.pool, deadline, affects, standby).await;
        // A database that does not answer at all is another matter, and told as such.
        let waited = lent.as_ref().map_or(Duration::ZERO, |_| asked.elapsed());
        self.waited.store(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        lent
    }

    /// Whether callers wait longer than this for a session: the one who was lent one last did, and others wait now. They
    /// are served in their order, so whoever comes now would wait as long, and what it was to be for may be over by then.
    #[must_use]
    pub fn is_saturated(&self, longest: Duration) -> bool {
        u128::from(self.waited.load(Ordering::Relaxed)) > longest.as_micros()
            && self.pool.status().waiting > 0
    }

    /// Runs statements that must agree, in a transaction and in a separate task, so that a caller that disconnects does
    /// not interrupt it. The whole of `work` is repeated after a serialization conflict.
    ///
    /// # Errors
    /// Those of `work`, and those of [`Self::acquire`].
    pub async fn transaction<T, F>(
        &self,
        affects: Affects,
        span: &'static str,
        work: F,
    ) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut DbConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let database = self.clone();
        let repeated = async move {
            let mut attempt = 1;
            loop {
                let mut session = database.lend(Instant::now() + OPERATION_LIMIT, affects.clone()).await?;
                match session.attempt(|link| in_transaction(link, &work)).await {
                    Err(failure) if failure.is_serialization_conflict() && attempt < ATTEMPTS => {
                        attempt += 1;
                        let pause = rand::rng().random_range(Duration::ZERO..LONGEST_PAUSE);
                        sleep(pause).await;
                    }
                    other => return other,
                }
            }
        };
        let task = self.tasks.spawn(traced(span, repeated).in_current_span());
        task.await.unwrap_or_else(|error| {
            tracing::error!(error = %error, "transaction task ended early");
            Err(Error::Internal.into())
        })
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
    pub fn invalidate_idle(&self) {
        self.pool.manager().invalidate_idle();
    }

    pub(super) fn distrust_idle_of_standby(&self) {
        if let Some((_, pool)) = &self.standby {
            pool.manager().invalidate_idle();
        }
    }

    /// Notes a failure on the standby, which the caller will not see.
    pub(super) fn standby_failed(&self, failure: &StoreError) {
        // Rows that were in the way of the primary's changes are a matter of this one read.
        if let Some((standby, _)) = self.standby.as_ref().filter(|_| !failure.is_serialization_conflict()) {
            standby.distrust(failure);
        }
    }

    /// Opens no more connections and lets the idle ones go.
    pub fn close(&self) {
        self.pool.close();
        if let Some((_, pool)) = &self.standby {
            pool.close();
        }
    }
}

async fn in_transaction<T>(
    link: &mut DbConnection,
    work: &(impl for<'c> Fn(&'c mut DbConnection) -> BoxFuture<'c, Result<T, StoreError>> + Sync),
) -> Result<T, StoreError> {
    link.begin().await?;
    let worked = work(link).await;
    link.end(worked).await
}
