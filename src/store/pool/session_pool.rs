//! The pool of connections to one server: each is used by one caller at a time.
//!
//! The connections belong to the pool and not to its callers, so that callers who give up cost nothing but time:
//!
//! - A connection is opened in a task of its own. If the caller has left, the next one gets it.
//! - A statement whose caller has left runs to its end in a task of its own, and then its connection returns to the pool.
//! - Callers are served fairly by organization (see [`FairSemaphore`]), and each organization has at most half of the
//!   connections, those of its abandoned statements included.
//!
//! There are never more connections than permits, broken ones not counted: a connection is opened only with a permit and if
//! none is idle, and it returns to the pool before its permit is released.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use super::connection::{DatabaseTarget, DbConnection};
use super::error::StoreError;
use super::replica::state::Replica;
use crate::admission::{Consumer, FairPermit, FairSemaphore, current_consumer};

/// Connections older than this are replaced, so that they follow a failover and give memory back to the server.
const MAX_AGE: Duration = Duration::from_mins(30);
/// Maximum time to open a connection. Longer than a caller waits, for a server that is slow to accept it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for an abandoned statement to end: slightly more than `statement_timeout`.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(6);
/// Connections that are opened before anybody asks for them.
const MIN_OPEN: usize = 4;

/// Cheap to clone; all clones are the same pool.
#[derive(Clone)]
pub(super) struct SessionPool {
    inner: Arc<Inner>,
}

struct Inner {
    target: DatabaseTarget,
    sessions: usize,
    permits: Arc<FairSemaphore>,
    idle: Mutex<Idle>,
    /// Grows when a connection breaks: idle ones of an older generation most likely broke with it.
    generation: AtomicU64,
    /// Number of connections opened so far.
    opened: AtomicU64,
    /// Whether the newest connection found Citus.
    is_distributed: AtomicBool,
    /// For connections to the replica: the server that must be at the other end.
    replica: Option<Arc<Replica>>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Idle {
    /// Last in, first out: the process in PostgreSQL that worked last has its plans and pages in its caches.
    connections: Vec<Pooled>,
    is_closed: bool,
}

/// A connection of the pool.
pub(super) struct Pooled {
    pub(super) connection: DbConnection,
    /// False while a query runs.
    pub(super) is_clean: bool,
    opened_at: Instant,
    generation: u64,
}

/// A snapshot of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Maximum number of sessions.
    pub most: usize,
    /// Sessions in use or being opened.
    pub in_use: usize,
    pub idle: usize,
    /// Callers that wait for a session.
    pub waiting: usize,
    /// Sessions opened since the start of the process.
    pub opened: u64,
}

impl SessionPool {
    /// A pool of at most `sessions` connections, none of them opened yet. `tasks` owns its tasks.
    pub(super) fn new(
        target: DatabaseTarget,
        sessions: usize,
        replica: Option<Arc<Replica>>,
        tasks: TaskTracker,
    ) -> Self {
        let inner = Inner {
            target,
            sessions,
            permits: FairSemaphore::new(sessions, sessions / 2),
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            is_distributed: AtomicBool::new(false),
            replica,
            tasks,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Borrows a connection for the current consumer.
    pub(super) async fn acquire(&self, deadline: Instant) -> Result<Lease, StoreError> {
        let consumer = current_consumer();
        let Ok(permit) = timeout_at(deadline, self.inner.permits.acquire(&consumer)).await else {
            return Err(StoreError::Unavailable("no session within the operation limit"));
        };
        self.lease(Arc::new(permit), deadline).await
    }

    /// An idle connection, or a new one, for the holder of a permit.
    async fn lease(&self, permit: Arc<FairPermit>, deadline: Instant) -> Result<Lease, StoreError> {
        if let Some(pooled) = self.take_idle()? {
            return Ok(Lease::new(self, pooled, permit));
        }
        let (sender, opened) = oneshot::channel();
        let pool = self.clone();
        self.inner.tasks.spawn(async move {
            // If the caller has left, the lease is dropped, which gives the connection to the next one.
            let _ = sender.send(pool.open(permit).await);
        });
        match timeout_at(deadline, opened).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_task_cancelled)) => Err(StoreError::Unavailable("the pool is closed")),
            Err(_) => Err(StoreError::Unavailable("no connection within the operation limit")),
        }
    }

    async fn open(&self, permit: Arc<FairPermit>) -> Result<Lease, StoreError> {
        let Ok(connected) = timeout(OPEN_TIMEOUT, self.connect()).await else {
            return Err(StoreError::Unavailable("no connection in time"));
        };
        let pooled = connected.map_err(StoreError::no_connection)?;
        Ok(Lease::new(self, pooled, permit))
    }

    async fn connect(&self) -> sqlx::Result<Pooled> {
        let Inner { target, replica, generation, opened, is_distributed, .. } = &*self.inner;
        let generation = generation.load(Ordering::Acquire);
        let mut connection = DbConnection::open(target).await?;
        if let Some(replica) = replica
            && !replica.is_observed(connection.server_started_at().await?)
        {
            return Err(sqlx::Error::Configuration(
                "not the replica server whose heartbeats are observed".into(),
            ));
        }
        opened.fetch_add(1, Ordering::Relaxed);
        is_distributed.store(connection.is_distributed(), Ordering::Relaxed);
        Ok(Pooled { connection, is_clean: true, opened_at: Instant::now(), generation })
    }

    /// Opens connections until there is a small number of them, so that callers with short deadlines find one.
    pub(super) fn keep_warm(&self) {
        let most = MIN_OPEN.min(self.inner.sessions);
        for _ in self.idle_or_in_use()..most {
            let pool = self.clone();
            self.inner.tasks.spawn(async move {
                let permit = pool.inner.permits.acquire(&Consumer::Background).await;
                // Counted again, with this permit, because callers may have opened connections in the meantime.
                if pool.idle_or_in_use() <= most
                    && let Err(error) = pool.open(Arc::new(permit)).await
                {
                    tracing::debug!(error = %error, "no connection in advance");
                }
            });
        }
    }

    /// At least the number of connections.
    fn idle_or_in_use(&self) -> usize {
        self.idle().connections.len() + self.inner.permits.in_use()
    }

    /// An idle connection that can be used again.
    fn take_idle(&self) -> Result<Option<Pooled>, StoreError> {
        let generation = self.inner.generation.load(Ordering::Acquire);
        let mut idle = self.idle();
        if idle.is_closed {
            return Err(StoreError::Unavailable("the pool is closed"));
        }
        let mut unusable = Vec::new();
        let found = loop {
            match idle.connections.pop() {
                Some(pooled) if pooled.generation != generation || pooled.opened_at.elapsed() > MAX_AGE => {
                    unusable.push(pooled);
                }
                other => break other,
            }
        };
        // Closed after the lock is released.
        drop(idle);
        Ok(found)
    }

    fn give_back(&self, pooled: Pooled) {
        let mut idle = self.idle();
        if !idle.is_closed && pooled.generation == self.inner.generation.load(Ordering::Acquire) {
            idle.connections.push(pooled);
        }
    }

    /// Replaces each idle connection before its next use.
    pub(super) fn invalidate_idle(&self) {
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Opens no more connections and closes the idle ones.
    pub(super) fn close(&self) {
        let mut idle = self.idle();
        idle.is_closed = true;
        let connections = std::mem::take(&mut idle.connections);
        drop(idle);
        drop(connections);
    }

    /// Whether Citus was found; false before the first connection.
    pub(super) fn is_distributed(&self) -> bool {
        self.inner.is_distributed.load(Ordering::Relaxed)
    }

    /// How long the first caller of this consumer has waited for a connection.
    pub(super) fn longest_wait(&self, consumer: &Consumer) -> Duration {
        self.inner.permits.longest_wait(consumer)
    }

    pub(super) fn sessions(&self) -> usize {
        self.inner.sessions
    }

    pub(super) fn state(&self) -> PoolState {
        PoolState {
            most: self.inner.sessions,
            in_use: self.inner.permits.in_use(),
            idle: self.idle().connections.len(),
            waiting: self.inner.permits.waiting(),
            opened: self.inner.opened.load(Ordering::Relaxed),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use by one caller. Dropping it returns the connection to the pool.
pub(super) struct Lease {
    pool: SessionPool,
    /// `None` only while it is dropped. The permit is shared with the lease that replaces this one.
    loan: Option<(Pooled, Arc<FairPermit>)>,
}

impl Lease {
    fn new(pool: &SessionPool, pooled: Pooled, permit: Arc<FairPermit>) -> Self {
        Self { pool: pool.clone(), loan: Some((pooled, permit)) }
    }

    pub(super) fn pooled(&mut self) -> Option<&mut Pooled> {
        self.loan.as_mut().map(|(pooled, _)| pooled)
    }

    pub(super) fn pool(&self) -> &SessionPool {
        &self.pool
    }

    /// What replaces the lease if its connection breaks.
    pub(super) fn replacement(&self) -> Option<Replacement> {
        self.loan.as_ref().map(|(_, permit)| Replacement { pool: self.pool.clone(), permit: permit.clone() })
    }
}

/// The right to another connection under the permit of a lease, for work that is run again after its connection broke. With a
/// permit of its own it would wait for all others whose connections broke at the same moment.
pub(super) struct Replacement {
    pool: SessionPool,
    permit: Arc<FairPermit>,
}

impl Replacement {
    pub(super) async fn acquire(self, deadline: Instant) -> Result<Lease, StoreError> {
        self.pool.lease(self.permit, deadline).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some((mut pooled, permit)) = self.loan.take() else { return };
        if pooled.is_clean {
            self.pool.give_back(pooled);
            return drop(permit);
        }
        // What cannot be used again is closed.
        if !pooled.connection.can_recover() || Handle::try_current().is_err() {
            return drop((pooled, permit));
        }
        let pool = self.pool.clone();
        self.pool.inner.tasks.spawn(async move {
            let recovered = timeout(RECOVERY_TIMEOUT, pooled.connection.recover()).await;
            if matches!(recovered, Ok(Ok(()))) {
                pooled.is_clean = true;
                pool.give_back(pooled);
            } else {
                drop(pooled);
            }
            drop(permit);
        });
    }
}
