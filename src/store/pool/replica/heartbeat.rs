//! Heartbeats: written on the primary, looked for on the replica.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sqlx::query;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::state::Replica;
use crate::store::pool::connection::{DatabaseTarget, DbConnection};
use crate::store::pool::error::StoreError;
use crate::store::pool::session_pool::SessionPool;

/// How often a heartbeat is written. An organization that wrote reads from the primary for one to two intervals, and for
/// the replica's lag.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long one step of an interval may take.
const STEP_LIMIT: Duration = Duration::from_secs(1);
/// How many heartbeats are remembered that are not visible yet: more than fit into any useful lag, see
/// `INKBOX_DATABASE_READ_LAG`.
const MAX_PENDING: usize = 512;

/// A heartbeat that was committed on the primary.
struct Sent {
    number: i64,
    /// The newest write that ended before.
    write: u64,
    at: Instant,
}

pub(super) struct Heartbeat {
    replica: Arc<Replica>,
    primary_target: DatabaseTarget,
    replica_target: DatabaseTarget,
    /// Connections to the replica, which are replaced if another server answers in its place.
    replica_pool: SessionPool,
    /// Tells the heartbeats of this process from those of others.
    process_id: Uuid,
    last: i64,
    pending: VecDeque<Sent>,
    to_primary: Option<DbConnection>,
    to_replica: Option<DbConnection>,
}

impl Heartbeat {
    pub(super) fn new(
        replica: Arc<Replica>,
        primary_target: DatabaseTarget,
        replica_target: DatabaseTarget,
        replica_pool: SessionPool,
    ) -> Self {
        Self {
            replica,
            primary_target,
            replica_target,
            replica_pool,
            process_id: Uuid::from_u128(rand::random()),
            last: 0,
            pending: VecDeque::with_capacity(MAX_PENDING),
            to_primary: None,
            to_replica: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            // Without the primary no heartbeat is written; the replica then serves reads until its last one expires.
            if !matches!(timeout(STEP_LIMIT, self.send()).await, Ok(Ok(()))) {
                self.to_primary = None;
            }
            match timeout(STEP_LIMIT, self.poll()).await {
                Ok(Ok(Some(number))) => self.observe(number),
                Ok(Ok(None)) => {}
                problem => {
                    self.to_replica = None;
                    match problem {
                        Ok(Err(error)) => self.replica.fail(&error),
                        _ => self.replica.fail(&"no answer"),
                    }
                }
            }
            sleep(INTERVAL).await;
        }
    }

    async fn send(&mut self) -> Result<(), StoreError> {
        let connection = match &mut self.to_primary {
            Some(connection) => connection,
            None => {
                let connection = self.to_primary.insert(DbConnection::open(&self.primary_target).await?);
                delete_stale(connection).await?;
                connection
            }
        };
        // The number of the newest write is read first: all writes up to it end before the heartbeat's commit begins.
        let sent = Sent { number: self.last + 1, write: self.replica.writes.latest(), at: Instant::now() };
        // The number counts as used even if the answer is lost.
        self.last = sent.number;
        query!(
            "INSERT INTO standby_beats (process_id, beat, beaten_at) VALUES ($1, $2, now())
             ON CONFLICT (process_id) DO UPDATE SET beat = excluded.beat, beaten_at = excluded.beaten_at",
            self.process_id,
            sent.number,
        )
        .execute(connection)
        .await?;
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back(sent);
        Ok(())
    }

    /// The newest heartbeat that the replica shows.
    async fn poll(&mut self) -> Result<Option<i64>, StoreError> {
        let connection = match &mut self.to_replica {
            Some(connection) => connection,
            None => {
                let mut connection = DbConnection::open(&self.replica_target).await?;
                if !connection.settings_intact().await? {
                    return Err(StoreError::Unavailable("INKBOX_DATABASE_READ_URL leads to a pooler"));
                }
                self.replica.observe_server(connection.server_started_at().await?);
                self.replica_pool.invalidate_idle();
                self.to_replica.insert(connection)
            }
        };
        let row = query!("SELECT beat FROM standby_beats WHERE process_id = $1", self.process_id)
            .fetch_optional(connection)
            .await?;
        Ok(row.map(|row| row.beat))
    }

    fn observe(&mut self, number: i64) {
        while self.pending.front().is_some_and(|sent| sent.number < number) {
            self.pending.pop_front();
        }
        // Missing if its answer was lost, or if so many were sent since that it is too old anyway.
        let Some(sent) = self.pending.front().filter(|sent| sent.number == number) else { return };
        self.replica.record_heartbeat(sent.write, sent.at);
    }
}

/// Deletes the heartbeats of processes that ended.
async fn delete_stale(connection: &mut DbConnection) -> Result<(), StoreError> {
    query!("DELETE FROM standby_beats WHERE beaten_at < now() - interval '1 day'")
        .execute(connection)
        .await?;
    Ok(())
}
