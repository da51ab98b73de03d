//! Opens connections and decides which of them are used again.
//!
//! The pool is deadpool's around sqlx's connection, and not `sqlx::Pool`, for two reasons:
//!
//! 1. `sqlx::Pool` pings a connection on each release, which cannot be turned off and costs a third of a one-row read.
//! 2. `sqlx::Pool` reuses a connection whose future was dropped in the middle of `BEGIN`, so that a caller that
//!    disconnects breaks it for others. Here a connection that was not seen to finish its work is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, QueueMode, RecycleError, RecycleResult};
use tokio::time::Instant;

use super::connection::{DatabaseTarget, DbConnection};
use super::replica::state::Replica;
use crate::error::Error;

/// Connections older than this are replaced, so that they follow a failover and give memory back to the server.
const MAX_AGE: Duration = Duration::from_mins(30);

pub(super) type SessionPool = managed::Pool<Connector>;

/// A connection of the pool.
pub(super) struct Pooled {
    pub(super) connection: DbConnection,
    /// False while a query runs: if its future is dropped, the connection is closed.
    pub(super) is_clean: bool,
    opened_at: Instant,
    generation: u64,
}

pub(super) struct Connector {
    target: DatabaseTarget,
    /// Grows when a connection breaks: idle ones of an older generation most likely broke with it.
    generation: AtomicU64,
    /// Number of connections opened so far.
    pub(super) opened: AtomicU64,
    /// Whether the newest connection found Citus.
    pub(super) is_distributed: AtomicBool,
    /// For connections to the replica: the server that must be at the other end.
    replica: Option<Arc<Replica>>,
}

impl Connector {
    async fn connect(&self) -> sqlx::Result<Pooled> {
        let generation = self.generation.load(Ordering::Acquire);
        let mut connection = DbConnection::open(&self.target).await?;
        if let Some(replica) = &self.replica
            && !replica.is_observed(connection.server_started_at().await?)
        {
            return Err(sqlx::Error::Configuration(
                "not the replica server whose heartbeats are observed".into(),
            ));
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.is_distributed.store(connection.is_distributed(), Ordering::Relaxed);
        Ok(Pooled { connection, is_clean: true, opened_at: Instant::now(), generation })
    }

    /// Replaces each idle connection before its next use.
    pub(super) fn invalidate_idle(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl managed::Manager for Connector {
    type Type = Pooled;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<Pooled> {
        // Boxed: the future that opens a connection is large and rare, and would be part of every call's future.
        Box::pin(self.connect()).await
    }

    async fn recycle(&self, pooled: &mut Pooled, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if !pooled.is_clean {
            return Err(RecycleError::message("interrupted during its work"));
        }
        if pooled.generation != self.generation.load(Ordering::Acquire) {
            return Err(RecycleError::message("invalidated"));
        }
        if pooled.opened_at.elapsed() > MAX_AGE {
            return Err(RecycleError::message("too old"));
        }
        Ok(())
    }
}

/// A pool of at most `sessions` connections, none of them opened yet.
pub(super) fn session_pool(
    target: DatabaseTarget,
    sessions: usize,
    replica: Option<Arc<Replica>>,
) -> Result<SessionPool, Error> {
    let connector = Connector {
        target,
        generation: AtomicU64::new(0),
        opened: AtomicU64::new(0),
        is_distributed: AtomicBool::new(false),
        replica,
    };
    // Last in, first out: the process in PostgreSQL that worked last has its plans and pages in its caches.
    SessionPool::builder(connector).max_size(sessions).queue_mode(QueueMode::Lifo).build().map_err(|error| {
        tracing::error!(error = %error, "connection pool not built");
        Error::Internal
    })
}
