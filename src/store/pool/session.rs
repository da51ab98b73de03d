//! A connection of the pool, acquired for one caller.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::affects::Affects;
use super::connection::DbConnection;
use super::error::StoreError;
use super::event_heads::SharedHeads;
use super::replica::tracker::WriteTracker;
use super::session_pool::{Lease, Replacement, SessionPool};
use crate::domain::Actor;
use crate::error::Error;
use crate::telemetry::trace;

/// Returned to the pool by dropping it, at any point of its work.
pub struct Session {
    lease: Lease,
    deadline: Instant,
    /// Records what the work changed, if there is a replica.
    writes: Option<Arc<WriteTracker>>,
    /// Told of the events that the work wrote, on the primary.
    heads: Option<SharedHeads>,
}

impl Session {
    pub(super) async fn acquire(
        pool: &SessionPool,
        deadline: Instant,
        affects: Affects,
        writes: Option<Arc<WriteTracker>>,
        heads: Option<SharedHeads>,
    ) -> Result<Self, StoreError> {
        let mut lease = pool.acquire(deadline).await?;
        if let Some(pooled) = lease.pooled() {
            pooled.connection.affects = affects;
        }
        Ok(Self { lease, deadline, writes, heads })
    }

    /// Names who makes the changes of this work, or nobody: the connection remembers its last user.
    pub(super) fn set_actor(&mut self, actor: Option<Arc<Actor>>) {
        if let Some(pooled) = self.lease.pooled() {
            pooled.connection.set_actor(actor);
        }
    }

    /// What work that only reads is run on if the connection breaks.
    pub(super) fn replacement(&self) -> Option<Replacement> {
        self.lease.replacement()
    }

    /// A session that takes the place of one whose connection broke, for work that only reads.
    pub(super) async fn replace(replacement: Replacement, deadline: Instant) -> Result<Self, StoreError> {
        Ok(Self { lease: replacement.acquire(deadline).await?, deadline, writes: None, heads: None })
    }

    /// Runs one statement, or several that need not agree, in a span of this name.
    ///
    /// # Errors
    /// What the database answered, or `Unavailable` after the operation limit, counted from
    /// [`super::Database::acquire`]. Nothing is retried: a statement may have taken effect before its connection broke.
    pub async fn run<'s, T, F>(
        &'s mut self,
        span: &'static str,
        work: impl FnOnce(&'s mut DbConnection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        traced(span, self.run_untraced(work)).await
    }

    pub(super) async fn run_untraced<'s, T, F>(
        &'s mut self,
        work: impl FnOnce(&'s mut DbConnection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let deadline = self.deadline;
        let pool = self.lease.pool().clone();
        let Some(pooled) = self.lease.pooled() else { return Err(Error::Internal.into()) };
        pooled.is_clean = false;
        let Ok(result) = timeout_at(deadline, work(&mut pooled.connection)).await else {
            return Err(StoreError::Unavailable("no answer within the operation limit"));
        };
        match &result {
            Err(error) if error.broke_connection() => pool.invalidate_idle(),
            _ => pooled.is_clean = true,
        }
        result
    }
}

/// Runs a piece of work in a span of this name.
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
    /// Records the write before its caller gets the answer, and wakes the readers of its events.
    fn drop(&mut self) {
        let Some(pooled) = self.lease.pooled() else { return };
        if let Some(writes) = &self.writes {
            writes.record(&pooled.connection.affects);
        }
        let committed = std::mem::take(&mut pooled.connection.committed);
        if let Some(heads) = &self.heads {
            heads.advance_all(&committed);
        }
    }
}
