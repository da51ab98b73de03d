//! The connections to the primary, and transactions on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::affects::Affects;
use super::connection::{DatabaseTarget, DbConnection};
use super::error::StoreError;
use super::event_heads::SharedHeads;
use super::replica::tracker::WriteTracker;
use super::session::{Session, traced};
use super::session_pool::SessionPool;
use crate::admission::{Consumer, inherit};
use crate::domain::Actor;
use crate::error::Error;

/// The longest that a caller waits for the database, from acquiring a session to the last row. Below the 3 s in which
/// every call is answered when the database is down.
pub(in crate::store) const OPERATION_LIMIT: Duration = Duration::from_millis(2_500);
/// How often a transaction is run after a serialization conflict (serialization failure, deadlock).
const ATTEMPTS: u32 = 4;
/// The longest pause before the next attempt. The pause is random, so that two transactions do not collide again.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Primary {
    pub(super) target: DatabaseTarget,
    pub(super) pool: SessionPool,
    opened: Arc<AtomicBool>,
    /// With a replica: which organizations wrote recently.
    pub(super) writes: Option<Arc<WriteTracker>>,
    pub(super) tasks: TaskTracker,
    /// Told of each commit that wrote events.
    pub(super) heads: SharedHeads,
    /// Who makes the changes, if they are audited.
    pub(super) actor: Option<Arc<Actor>>,
}

impl Primary {
    pub(super) fn new(target: DatabaseTarget, sessions: usize, tasks: TaskTracker) -> Self {
        let pool = SessionPool::new(target.clone(), sessions, None, tasks.clone());
        let heads = SharedHeads::default();
        Self { target, pool, opened: Arc::default(), writes: None, tasks, heads, actor: None }
    }

    pub(super) fn open(&self) {
        self.opened.store(true, Ordering::Release);
    }

    pub(super) async fn acquire(&self, deadline: Instant, affects: Affects) -> Result<Session, StoreError> {
        if !self.opened.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("not opened yet"));
        }
        let (writes, heads) = (self.writes.clone(), Some(self.heads.clone()));
        let mut session = Session::acquire(&self.pool, deadline, affects, writes, heads).await?;
        session.set_actor(self.actor.clone());
        Ok(session)
    }

    /// Whether a caller of this consumer has waited longer than `limit` for a connection.
    pub(super) fn is_saturated(&self, consumer: &Consumer, limit: Duration) -> bool {
        self.pool.longest_wait(consumer) > limit
    }

    /// Opens connections before they are needed, once access is allowed.
    pub(super) fn keep_warm(&self) {
        if self.opened.load(Ordering::Acquire) {
            self.pool.keep_warm();
        }
    }

    /// Whether Citus was found; false before the first connection.
    pub(super) fn is_distributed(&self) -> bool {
        self.pool.is_distributed()
    }

    pub(super) async fn transaction<T, F>(
        &self,
        affects: Affects,
        span: &'static str,
        work: F,
    ) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut DbConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let primary = self.clone();
        let repeated = async move {
            let mut attempt = 1;
            loop {
                let mut session = primary.acquire(Instant::now() + OPERATION_LIMIT, affects.clone()).await?;
                match session.run_untraced(|connection| in_transaction(connection, &work)).await {
                    Err(error) if error.is_serialization_conflict() && attempt < ATTEMPTS => {
                        attempt += 1;
                        let pause = rand::rng().random_range(Duration::ZERO..MAX_PAUSE);
                        sleep(pause).await;
                    }
                    other => return other,
                }
            }
        };
        let task = self.tasks.spawn(inherit(traced(span, repeated)).in_current_span());
        task.await.unwrap_or_else(|error| {
            tracing::error!(error = %error, "transaction task ended early");
            Err(Error::Internal.into())
        })
    }
}

async fn in_transaction<T>(
    connection: &mut DbConnection,
    work: &(impl for<'c> Fn(&'c mut DbConnection) -> BoxFuture<'c, Result<T, StoreError>> + Sync),
) -> Result<T, StoreError> {
    connection.begin().await?;
    let result = work(connection).await;
    connection.end(result).await
}
