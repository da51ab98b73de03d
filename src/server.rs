//! The composition root: every part of the service is made and joined here, read top to bottom.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tower::ServiceBuilder;

use crate::app::{App, SendLimits};
use crate::clock::Clock;
use crate::error::Error;
use crate::grpc;
use crate::grpc::access_log::AccessLogLayer;
use crate::grpc::auth::{AuthLayer, KeyRing};
use crate::grpc::limits::{CallLimits, LimitsLayer};
use crate::health::{DatabaseWatch, Health};
use crate::line::Sandbox;
use crate::proto;
use crate::shutdown::DrainLimits;
use crate::store::{Database, Endpoint, Pooler, SchemaError, StandbySettings};
use crate::sweeper;

/// Bounds of one HTTP/2 connection. tonic leaves the first two without any.
const STREAMS_PER_CONNECTION: u32 = 256;
const LOCAL_RESETS_PER_CONNECTION: usize = 1_024;
/// Clients that give up many calls at once are normal; floods are not.
const PENDING_RESETS_PER_CONNECTION: usize = 64;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections are told to move on at this age, so that a balancer can spread them anew; one tenth more or less, so
/// that they do not all move at once.
const CONNECTION_AGE: Duration = Duration::from_mins(15);
/// How often uses of keys are written down.
const WRITE_DOWN_USES: Duration = Duration::from_secs(5);
/// How long the last of them may take at the end.
const LAST_WRITE_LIMIT: Duration = Duration::from_secs(3);

/// What the service is to be like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database.
    pub database: PgConnectOptions,
    /// What stands before it.
    pub pooler: Pooler,
    /// A standby for lists and gets.
    pub standby: Option<StandbySettings>,
    /// Most connections to it, besides the one that watches it.
    pub sessions: usize,
    /// Whether to apply migrations at start.
    pub migrate: bool,
    /// How long a line may take.
    pub line_time_out: Duration,
    /// Messages that an identity may send in any 24 hours; `None` = as many as it likes.
    pub sends_per_day: Option<u32>,
    /// What one process takes on.
    pub calls: CallLimits,
    /// Steps of a drain.
    pub drain: DrainLimits,
}

/// Why the service ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The schema is not one that this program can work with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The listener failed.
    #[error("transport: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// A part could not be made.
    #[error(transparent)]
    Assembly(#[from] Error),
    /// The contract's own description is broken.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Services of the contract that are served, as health and reflection name them.
const SERVICES: [&str; 8] = [
    proto::conversation_service_server::SERVICE_NAME,
    proto::message_service_server::SERVICE_NAME,
    proto::connection_service_server::SERVICE_NAME,
    proto::contact_rule_service_server::SERVICE_NAME,
    proto::router_service_server::SERVICE_NAME,
    proto::identity_service_server::SERVICE_NAME,
    proto::api_key_service_server::SERVICE_NAME,
    proto::sandbox_service_server::SERVICE_NAME,
];

/// The service, assembled but not yet serving.
pub struct Server {
    settings: Settings,
    app: App,
    keys: KeyRing,
    ready: watch::Sender<bool>,
}

impl Server {
    /// Joins the parts. Opens no connection.
    ///
    /// # Errors
    /// See [`Database::new`].
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let tasks = TaskTracker::new();
        let database = Endpoint::new(settings.database.clone(), settings.pooler);
        let mut db = Database::new(database, settings.sessions, tasks.clone())?;
        if let Some(standby) = settings.standby.clone() {
            db = db.with_standby(standby)?;
        }
        let line = Arc::new(Sandbox::new(clock.clone(), settings.line_time_out));
        let keys = KeyRing::new(db.clone(), clock.clone());
        let limits = SendLimits { per_day: settings.sends_per_day, line_time_out: settings.line_time_out };
        let app = App { db, clock, line, lanes: Arc::default(), limits, tasks };
        Ok(Self { settings, app, keys, ready: watch::Sender::new(false) })
    }

    /// The parts, for work beside the calls (the demo).
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Turns true when the database answers and calls can be served.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Serves until `stop`, then drains.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { settings, app, keys, ready } = self;
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let health = Health::new(reporter, &SERVICES).await;

        let mut routes = grpc::routes(&app, &keys);
        routes
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let layers = ServiceBuilder::new()
            .layer(AccessLogLayer::new(app.clock.clone()))
            .layer(LimitsLayer::new(settings.calls))
            .layer(AuthLayer::new(keys.clone()))
            .into_inner();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let finish = CancellationToken::new();
        let serving = tonic::transport::Server::builder()
            .max_concurrent_streams(Some(STREAMS_PER_CONNECTION))
            .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_PER_CONNECTION))
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_PER_CONNECTION))
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_connection_age(CONNECTION_AGE.mul_f64(rand::rng().random_range(0.9..1.1)))
            .layer(layers)
            .add_routes(routes.routes())
            .serve_with_incoming_shutdown(incoming, finish.clone().cancelled_owned());

        let mut opened = ready.subscribe();
        let watch = DatabaseWatch {
            endpoint: Endpoint::new(settings.database.clone(), settings.pooler),
            migrate: settings.migrate.then_some(settings.database),
            db: app.db.clone(),
            keys: keys.clone(),
            health: health.clone(),
            ready,
        };
        let background = CancellationToken::new();
        let watching = tokio::spawn(watch.run(background.clone()));
        let writing = tokio::spawn(write_down_uses(keys.clone(), background.clone()));
        let sweep_app = app.clone();
        let sweep_stop = background.clone();
        let sweeping = tokio::spawn(async move {
            tokio::select! {
                _ = opened.wait_for(|open| *open) => {}
                () = sweep_stop.cancelled() => {}
            }
            sweeper::run(sweep_app, sweep_stop).await;
        });
        let (failed, mut failure) = watch::channel(false);
        let watching = tokio::spawn(async move {
            let ended = watching.await.unwrap_or(Ok(()));
            failed.send_replace(ended.is_err());
            ended
        });

        let drain = async {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = failure.wait_for(|failed| *failed) => {}
            }
            health.set(ServingStatus::NotServing).await;
            sleep(settings.drain.grace).await;
            finish.cancel();
            // tonic waits for ever for a connection that sends nothing, so the wait is ours.
            sleep(settings.drain.finish).await;
            tracing::warn!("calls under way were cut at the end of the drain");
        };
        let served = tokio::select! {
            served = serving => served,
            () = drain => Ok(()),
        };

        // What goes on without its caller gets the same time again; then nothing may write any more.
        app.tasks.close();
        let give_up = Instant::now() + settings.drain.finish;
        if timeout_at(give_up, app.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = app.tasks.len(), "work without a caller was cut at the end of the drain");
        }
        background.cancel();
        let _ = tokio::join!(writing, sweeping);
        if timeout(LAST_WRITE_LIMIT, keys.write_down_uses()).await.is_err() {
            tracing::warn!("the last uses of keys were not written down");
        }
        app.db.close();
        watching.await.unwrap_or(Ok(()))?;
        Ok(served?)
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    let mut builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that grpcurl can show the details of an error.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
    for service in SERVICES {
        builder = builder.with_service_name(service);
    }
    builder.with_service_name(tonic_health::pb::health_server::SERVICE_NAME)
}

async fn write_down_uses(keys: KeyRing, stop: CancellationToken) {
    let mut rounds = interval(WRITE_DOWN_USES);
    loop {
        tokio::select! {
            _ = rounds.tick() => keys.write_down_uses().await,
            () = stop.cancelled() => return,
        }
    }
}
