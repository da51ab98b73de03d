//! The connections to the replica.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::heartbeat::Heartbeat;
use super::state::Replica;
use super::tracker::WriteTracker;
use crate::domain::OrganizationId;
use crate::store::pool::affects::Affects;
use crate::store::pool::connection::{DatabaseTarget, Pooler};
use crate::store::pool::error::StoreError;
use crate::store::pool::session::Session;
use crate::store::pool::session_pool::SessionPool;

/// How long the replica may take, connection included, before the primary is asked instead: both fit into the
/// operation limit.
const REPLICA_LIMIT: Duration = Duration::from_secs(1);

/// How the replica is configured.
#[derive(Debug, Clone)]
pub struct ReplicaSettings {
    /// How to reach it, without a pooler: the server that answers must be known.
    pub options: PgConnectOptions,
    /// The oldest state that may be shown. Only what was written through another process can be missing in it.
    pub longest_lag: Duration,
}

#[derive(Clone)]
pub(in crate::store::pool) struct ReplicaPool {
    replica: Arc<Replica>,
    pool: SessionPool,
    target: DatabaseTarget,
}

impl ReplicaPool {
    pub(in crate::store::pool) fn new(
        settings: ReplicaSettings,
        sessions: usize,
        writes: Arc<WriteTracker>,
        tasks: TaskTracker,
    ) -> Self {
        let target = DatabaseTarget::new(settings.options, Pooler::None);
        let replica = Arc::new(Replica::new(settings.longest_lag, writes));
        let pool = SessionPool::new(target.clone(), sessions, Some(replica.clone()), tasks);
        Self { replica, pool, target }
    }

    /// A session on the replica, if it has everything that this organization must see.
    pub(super) async fn acquire(&self, organization_id: &OrganizationId) -> Option<Session> {
        if !self.replica.can_serve(organization_id) {
            return None;
        }
        let deadline = Instant::now() + REPLICA_LIMIT;
        let session = Session::acquire(&self.pool, deadline, Affects::None, None, None).await;
        session.inspect_err(|error| self.replica.fail(error)).ok()
    }

    /// Records a failure that the caller does not see.
    pub(super) fn failed(&self, error: &StoreError) {
        // A conflict with changes that arrive from the primary concerns this one read.
        if !error.is_serialization_conflict() {
            self.replica.fail(error);
        }
    }

    /// Sends and observes heartbeats forever, on two connections besides those of the pools: a busy pool is no lag.
    pub(in crate::store::pool) async fn watch(&self, primary: &DatabaseTarget) {
        Heartbeat::new(self.replica.clone(), primary.clone(), self.target.clone(), self.pool.clone())
            .run()
            .await;
    }

    pub(in crate::store::pool) fn close(&self) {
        self.pool.close();
    }
}
