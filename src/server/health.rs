//! What orchestrators see. The overall entry and one per service follow the database: `NOT_SERVING` until it answers
//! with the schema that this program needs, when it stops answering, and from the moment a drain starts. So does
//! `readiness`, the same under the name that probes like to ask for. `liveness` alone says `SERVING` as long as the process
//! lives: a dead database, or a drain, is no reason to restart it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::carriers::{CarrierRegistry, NotConfigured};
use crate::domain::{CarrierKind, PhoneNumber};
use crate::grpc::middleware::auth::KeyRing;
use crate::store::{self, Database, DatabaseTarget, DbConnection, SchemaError, key_digests};
use crate::telemetry::metrics::{CarrierMetrics, Metrics};

/// How often the database is asked. Twice within the second in which a revoked key stops working everywhere.
const POLL: Duration = Duration::from_millis(400);
/// How long one poll may take.
const POLL_LIMIT: Duration = Duration::from_secs(1);
/// How many polls in a row must fail before we say so: a single lost one is no outage.
const FAILED_POLLS: u32 = 3;

/// Whether calls should come here; the same as the overall entry.
const READINESS: &str = "readiness";
/// Whether the process lives.
const LIVENESS: &str = "liveness";

/// Sets the health entries.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    names: &'static [&'static str],
}

impl Health {
    /// Entries for the whole server (`""`, `readiness`) and for each of `names`, all `NOT_SERVING`; and `liveness`.
    /// tonic-health starts the overall entry as `SERVING`.
    pub async fn new(reporter: HealthReporter, names: &'static [&'static str]) -> Self {
        let health = Self { reporter, names };
        health.set(ServingStatus::NotServing).await;
        health.reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        health
    }

    /// Sets the entry of a carrier, which is for people alone: the service works without it, for other carriers.
    async fn set_line(&self, carrier: CarrierKind, status: ServingStatus) {
        self.reporter.set_service_status(format!("line.{carrier}"), status).await;
    }

    /// Sets every entry but `liveness` and those of the carriers.
    pub async fn set(&self, status: ServingStatus) {
        for name in self.names.iter().chain(&["", READINESS]) {
            self.reporter.set_service_status(*name, status).await;
        }
    }
}

/// Keeps the entries `line.<carrier>` true, `NOT_SERVING` while calls to it fail at once, and the gauge that says the same.
pub async fn show_breakers(
    health: Health,
    carriers: Arc<CarrierRegistry>,
    metrics: CarrierMetrics,
    stop: CancellationToken,
) {
    let mut changed = carriers.breakers_changed();
    loop {
        changed.mark_unchanged();
        for carrier in carriers.configured() {
            let is_down = carriers.breaker_is_open(carrier);
            metrics.breaker_is(carrier.name(), is_down);
            health
                .set_line(carrier, if is_down { ServingStatus::NotServing } else { ServingStatus::Serving })
                .await;
        }
        tokio::select! {
            Ok(()) = changed.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Why the service cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The schema is not one that this program can work with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// There are lines that nothing is configured for.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
}

/// What [`DatabaseWatch`] needs to know.
pub struct DatabaseWatch {
    /// How to connect. The watch has a connection of its own, so that a busy pool is not taken for a dead database.
    pub endpoint: DatabaseTarget,
    /// Whether to apply migrations first, and where: on PostgreSQL itself.
    pub migrate: Option<PgConnectOptions>,
    /// Opened when the schema is right.
    pub db: Database,
    /// Asked whether all lines are configured.
    pub carriers: Arc<CarrierRegistry>,
    /// Told the key epoch at each poll.
    pub keys: KeyRing,
    /// Told whether the database answers.
    pub health: Health,
    /// Told the same.
    pub metrics: Metrics,
    /// Turns true when the database is open.
    pub ready: watch::Sender<bool>,
}

impl DatabaseWatch {
    /// Waits for the database, brings the schema up to date where that is asked for, opens it, and watches it until
    /// the service stops.
    ///
    /// # Errors
    /// A schema that this program cannot work with, and lines that nothing is configured for. A database that does not answer is waited for.
    pub async fn run(self, stop: CancellationToken) -> Result<(), NotReady> {
        let watching = async {
            self.prepare().await?;
            self.db.open();
            self.ready.send_replace(true);
            tokio::join!(self.poll(), self.db.watch_replica());
            Ok(())
        };
        tokio::select! {
            ended = watching => ended,
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn prepare(&self) -> Result<(), NotReady> {
        let mut told = false;
        loop {
            let prepared = match &self.migrate {
                Some(options) => store::migrate(options).await,
                None => store::schema_is_current(&self.endpoint).await,
            };
            match prepared {
                Err(SchemaError::Database(error)) => {
                    if !told {
                        tracing::warn!(error = %error, "waiting for the database");
                        told = true;
                    }
                    sleep(POLL).await;
                }
                Err(error) => return Err(error.into()),
                Ok(()) => match self.lines().await {
                    Ok(lines) => {
                        self.carriers.check(&lines)?;
                        self.tell_of_left_over_tables().await;
                        return Ok(());
                    }
                    Err(error) => {
                        tracing::debug!(error = %crate::error::Error::from(error), "the lines cannot be read yet");
                        sleep(POLL).await;
                    }
                },
            }
        }
    }

    async fn lines(&self) -> Result<Vec<(PhoneNumber, CarrierKind)>, store::StoreError> {
        store::lines::carried(&mut DbConnection::open(&self.endpoint).await?).await
    }

    /// Migrations make tables where they run; `distribute` puts them where they belong.
    async fn tell_of_left_over_tables(&self) {
        let look = async {
            let mut link = DbConnection::open(&self.endpoint).await?;
            store::citus::left_over(&mut link).await
        };
        match timeout(POLL_LIMIT, look).await {
            Ok(Ok(tables)) if tables.is_empty() => {}
            Ok(Ok(tables)) => tracing::warn!(
                tables = tables.join(", "),
                "these tables are on the coordinator alone: run `inkbox-imessage distribute`"
            ),
            problem => tracing::debug!(?problem, "whether tables are left over is not known"),
        }
    }

    async fn poll(&self) {
        let mut connection = None;
        let mut failed = FAILED_POLLS;
        loop {
            match timeout(POLL_LIMIT, self.read_epoch(&mut connection)).await {
                Ok(Ok(epoch)) => {
                    self.keys.epoch_is(epoch);
                    if failed >= FAILED_POLLS {
                        tracing::info!("the database answers: serving");
                        self.metrics.database_is(true);
                        self.health.set(ServingStatus::Serving).await;
                    }
                    failed = 0;
                }
                problem => {
                    connection = None;
                    failed = failed.saturating_add(1);
                    // Where this connection broke, or nothing answers for long, the idle ones are no better. A slow answer
                    // alone is no reason to open them all anew.
                    if problem.is_ok() || failed == FAILED_POLLS {
                        self.db.invalidate_idle();
                    }
                    if failed == FAILED_POLLS {
                        let cause = problem.map_or_else(
                            |_| "no answer".to_owned(),
                            |answer| answer.map_or_else(|error| error.to_string(), |_| String::new()),
                        );
                        tracing::error!(error = cause, "the database does not answer: not serving");
                        self.metrics.database_is(false);
                        self.health.set(ServingStatus::NotServing).await;
                    }
                }
            }
            sleep(POLL).await;
        }
    }

    async fn read_epoch(&self, connection: &mut Option<DbConnection>) -> Result<i64, store::StoreError> {
        let open = match connection {
            Some(open) => open,
            None => connection.insert(DbConnection::open(&self.endpoint).await?),
        };
        key_digests::epoch(open).await
    }
}
