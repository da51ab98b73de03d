//! The database as the rest of the service uses it: the only ways in which a query is run.
//!
//! Queries are written as if there were one plain PostgreSQL. Each other feature is one module:
//! - [`replica`]: reads from a streaming replica. [`Database::read`] and [`Database::load`] use it; every other access
//!   declares with [`Affects`] which organizations it changes.
//! - [`batch`]: coalesces concurrent look-ups and updates of the same kind into one statement ([`Database::load`]).
//! - [`pgbouncer`]: transaction pooling, hidden in [`DbConnection`].
//! - [`citus`]: tables distributed over several nodes. It cannot be hidden entirely; the module lists the exceptions.

mod affects;
mod audit_log;
pub(in crate::store) mod batch;
pub mod citus;
mod connection;
mod error;
mod event_heads;
mod event_log;
mod migrations;
mod pgbouncer;
mod primary;
mod replica;
mod session;
mod session_pool;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::admission::Consumer;
use crate::domain::{Actor, OrganizationId};
use batch::{BatchQuery, Batchers};
use primary::Primary;
use replica::pool::ReplicaPool;
use session::traced;

pub use affects::Affects;
pub use connection::{DatabaseTarget, DbConnection, Pooler};
pub use error::StoreError;
pub use event_heads::EventHeads;
pub use migrations::{SchemaError, apply_by_statement, migrate, schema_is_current};
pub(in crate::store) use primary::OPERATION_LIMIT;
pub use replica::pool::ReplicaSettings;
pub use replica::read::ReadSession;
pub use session::Session;
pub use session_pool::PoolState;

/// Cheap to clone.
#[derive(Clone)]
pub struct Database {
    primary: Primary,
    replica: Option<ReplicaPool>,
    batchers: Arc<Batchers>,
}

impl Database {
    /// A pool of at most `sessions` connections, none of them opened yet. Every access fails until [`Self::open`].
    ///
    /// `tasks` owns the running transactions and statements, so that a drain can wait for them.
    #[must_use]
    pub fn new(target: impl Into<DatabaseTarget>, sessions: usize, tasks: TaskTracker) -> Self {
        let primary = Primary::new(target.into(), sessions, tasks);
        Self { primary, replica: None, batchers: Arc::default() }
    }

    /// Adds a replica for lists and gets, with as many connections. It serves reads once [`Self::watch_replica`] has
    /// seen that it keeps up.
    #[must_use]
    pub fn with_replica(mut self, settings: ReplicaSettings) -> Self {
        let writes = Arc::default();
        let (sessions, tasks) = (self.primary.pool.sessions(), self.primary.tasks.clone());
        self.replica = Some(ReplicaPool::new(settings, sessions, Arc::clone(&writes), tasks));
        self.primary.writes = Some(writes);
        self
    }

    /// The same database for changes by this actor, which are written to the audit log.
    #[must_use]
    pub fn acting(&self, actor: Actor) -> Self {
        let mut acting = self.clone();
        acting.primary.actor = Some(Arc::new(actor));
        acting
    }

    /// Allows access: the schema has been seen to be the one that this program needs.
    pub fn open(&self) {
        self.primary.open();
    }

    /// Watches the replica forever; returns at once if there is none.
    pub async fn watch_replica(&self) {
        if let Some(replica) = &self.replica {
            replica.watch(&self.primary.target).await;
        }
    }

    /// Waits for a session on the primary, which is to be used at once. `affects` declares what the work may change.
    ///
    /// # Errors
    /// `NoConnection` or `Unavailable`, within the operation limit.
    pub async fn acquire(&self, affects: Affects) -> Result<Session, StoreError> {
        self.primary.acquire(Instant::now() + OPERATION_LIMIT, affects).await
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
        self.primary.transaction(affects, span, work).await
    }

    /// Waits for a session for a list or get of an organization: on the replica if that has everything which the
    /// organization must see, else on the primary. A read that decides something takes [`Self::acquire`] instead.
    ///
    /// # Errors
    /// See [`Self::acquire`].
    pub async fn read(&self, organization_id: &OrganizationId) -> Result<ReadSession, StoreError> {
        ReadSession::acquire(&self.primary, self.replica.as_ref(), organization_id).await
    }

    /// Runs a query by key: on the replica if the query allows it and there is one, else on the primary, in one
    /// statement with other callers of the same moment.
    ///
    /// # Errors
    /// What the database answered, or `Unavailable` after the operation limit.
    pub(in crate::store) async fn load<Q: BatchQuery>(
        &self,
        scope: Q::Scope,
        key: Q::Key,
    ) -> Result<Q::Output, StoreError> {
        if let (Some(replica), Some(organization_id)) = (&self.replica, Q::reads_for(&scope)) {
            // Boxed: it would be the greater part of this future, which is moved several times before it runs.
            let reading = Box::pin(async {
                let mut session = ReadSession::acquire(&self.primary, Some(replica), organization_id).await?;
                let keys = std::slice::from_ref(&key);
                session
                    .run_with_fallback(
                        |connection| batch::run_one::<Q>(connection, &scope, keys),
                        Q::is_found,
                    )
                    .await
            });
            return traced(Q::SPAN, reading).await;
        }
        traced(Q::SPAN, self.batchers.of::<Q>().load(&self.primary, scope, key)).await
    }

    /// Where commits of this process tell of new events, and the poll of other processes' commits as well.
    #[must_use]
    pub fn event_heads(&self) -> &Arc<EventHeads> {
        &self.primary.heads
    }

    /// A snapshot of the pool of the primary.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        self.primary.pool.state()
    }

    /// Whether a caller of this consumer has waited longer than `limit` for a session. Callers of one consumer are served
    /// in order, so a new one would wait at least as long, possibly beyond its deadline.
    #[must_use]
    pub fn is_saturated(&self, consumer: &Consumer, limit: Duration) -> bool {
        self.primary.is_saturated(consumer, limit)
    }

    /// Opens a few sessions before they are needed. Called after each sign that the database answers.
    pub fn keep_warm(&self) {
        self.primary.keep_warm();
    }

    /// Replaces each idle connection before its next use, because another connection to the same server broke.
    pub fn invalidate_idle(&self) {
        self.primary.pool.invalidate_idle();
    }

    /// Opens no more connections and closes the idle ones.
    pub fn close(&self) {
        self.primary.pool.close();
        if let Some(replica) = &self.replica {
            replica.close();
        }
    }
}
