//! Watches the database: prepares the schema, opens the pool, then polls the database twice a second.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::error::ServeError;
use crate::auth::KeyCache;
use crate::carriers::CarrierRegistry;
use crate::clock::{Clock, ClockSkew, TOLERATED_SKEW};
use crate::domain::{CarrierKind, PhoneNumber};
use crate::server::health::{Health, ServingStatus};
use crate::store::{self, Database, DatabaseTarget, DbConnection, SchemaError, key_digests};
use crate::telemetry::metrics::Metrics;

/// Interval between polls: two polls fit into the second within which a revoked key stops working on every replica.
const POLL_INTERVAL: Duration = Duration::from_millis(400);
const POLL_TIMEOUT: Duration = Duration::from_secs(1);
/// Number of consecutive failed polls after which the database counts as down: a single lost poll is not an outage.
const MAX_FAILED_POLLS: u32 = 3;

/// Watches the database on its own connection, so that a busy pool does not look like a dead database.
pub(super) struct DatabaseMonitor {
    pub(super) endpoint: DatabaseTarget,
    /// The address for migrations, which need PostgreSQL itself instead of a pooler; `None` = do not migrate.
    pub(super) migrate: Option<PgConnectOptions>,
    /// Opened when the schema is current.
    pub(super) db: Database,
    /// Checked against the lines in the database.
    pub(super) carriers: Arc<CarrierRegistry>,
    /// Receives the key epoch of each poll.
    pub(super) keys: KeyCache,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    /// Compared with the database's clock at each poll.
    pub(super) clock: Arc<dyn Clock>,
    /// Receives the result.
    pub(super) skew: ClockSkew,
    /// Set to true when the pool is open.
    pub(super) ready: watch::Sender<bool>,
}

impl DatabaseMonitor {
    /// Waits for the database, applies migrations if configured, opens the pool, and polls the database until `stop`.
    ///
    /// # Errors
    /// A schema that this program cannot work with, or a line whose carrier is not configured. An unreachable database is
    /// not an error: it is waited for.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        let monitoring = async {
            self.prepare().await?;
            self.compare_clocks().await;
            self.db.open();
            self.ready.send_replace(true);
            tokio::join!(self.poll(), self.db.watch_replica());
            Ok(())
        };
        tokio::select! {
            ended = monitoring => ended,
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn prepare(&self) -> Result<(), ServeError> {
        let mut has_warned = false;
        loop {
            let prepared = match &self.migrate {
                Some(options) => store::migrate(options).await,
                None => store::schema_is_current(&self.endpoint).await,
            };
            match prepared {
                Err(SchemaError::Database(error)) => {
                    if !has_warned {
                        tracing::warn!(error = %error, "waiting for the database");
                        has_warned = true;
                    }
                }
                Err(error) => return Err(error.into()),
                Ok(()) => match self.lines().await {
                    Ok(lines) => {
                        self.carriers.check(&lines)?;
                        self.warn_undistributed_tables().await;
                        return Ok(());
                    }
                    Err(error) => {
                        tracing::debug!(error = %crate::error::Error::from(error), "cannot read the lines yet");
                    }
                },
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn lines(&self) -> Result<Vec<(PhoneNumber, CarrierKind)>, store::StoreError> {
        store::lines::carried(&mut DbConnection::open(&self.endpoint).await?).await
    }

    /// Migrations create tables on the coordinator of a Citus cluster; `distribute` moves them to its nodes.
    async fn warn_undistributed_tables(&self) {
        let lookup = async {
            let mut link = DbConnection::open(&self.endpoint).await?;
            store::citus::left_over(&mut link).await
        };
        match timeout(POLL_TIMEOUT, lookup).await {
            Ok(Ok(tables)) if tables.is_empty() => {}
            Ok(Ok(tables)) => tracing::warn!(
                tables = tables.join(", "),
                "tables are not distributed: run `inkbox-imessage distribute`"
            ),
            problem => tracing::debug!(?problem, "cannot tell whether all tables are distributed"),
        }
    }

    /// Compares the clocks before the first call is served, so that none is served by a wrong one.
    async fn compare_clocks(&self) {
        let mut connection = None;
        while !matches!(timeout(POLL_TIMEOUT, self.read_epoch(&mut connection)).await, Ok(Ok(_))) {
            connection = None;
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn poll(&self) {
        let mut connection = None;
        let mut failed = MAX_FAILED_POLLS;
        loop {
            match timeout(POLL_TIMEOUT, self.read_epoch(&mut connection)).await {
                Ok(Ok(epoch)) => {
                    self.keys.observe_epoch(epoch);
                    self.db.keep_warm();
                    if failed >= MAX_FAILED_POLLS {
                        tracing::info!("database is available: serving");
                        self.metrics.database_is(true);
                        self.health.set(ServingStatus::Serving);
                    }
                    failed = 0;
                }
                problem => {
                    connection = None;
                    failed = failed.saturating_add(1);
                    // After a broken connection, or no answer for long, the pool's idle connections are not to be trusted. A
                    // single slow answer is no reason to reconnect them all.
                    if problem.is_ok() || failed == MAX_FAILED_POLLS {
                        self.db.invalidate_idle();
                    }
                    if failed == MAX_FAILED_POLLS {
                        let cause = problem.map_or_else(
                            |_| "timeout".to_owned(),
                            |answer| answer.map_or_else(|error| error.to_string(), |_| String::new()),
                        );
                        tracing::error!(error = cause, "database is unavailable: not serving");
                        self.metrics.database_is(false);
                        self.health.set(ServingStatus::NotServing);
                    }
                }
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Reads the key epoch, the number of revocations, which also shows that the database answers, and compares the clocks.
    async fn read_epoch(&self, connection: &mut Option<DbConnection>) -> Result<i64, store::StoreError> {
        let open = match connection {
            Some(open) => open,
            None => connection.insert(DbConnection::open(&self.endpoint).await?),
        };
        let asked = Instant::now();
        let (epoch, time) = key_digests::epoch(open).await?;
        // The database read its clock about halfway.
        self.note_skew(self.clock.compare(time + asked.elapsed() / 2));
        Ok(epoch)
    }

    fn note_skew(&self, skew: TimeDelta) {
        let (is_wrong, was_wrong) = (skew.abs() > TOLERATED_SKEW, self.skew.get().abs() > TOLERATED_SKEW);
        let seconds = skew.as_seconds_f64();
        if is_wrong && !was_wrong {
            tracing::warn!(
                clock.skew_seconds = seconds,
                "the machine's clock differs from the database's, which is used instead: check its time server"
            );
        } else if was_wrong && !is_wrong {
            tracing::info!(
                clock.skew_seconds = seconds,
                "the machine's clock agrees with the database's again"
            );
        }
        self.skew.record(skew);
    }
}
