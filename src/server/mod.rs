//! The composition root: every part of the service is made and joined here, read top to bottom.

pub mod health;
pub mod shutdown;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;
use tower::ServiceBuilder;

use crate::app::{App, SendLimits};
use crate::carrier_webhooks::Webhooks;
use crate::carriers::{CarrierConfigError, CarrierRegistry, CarrierSettings, NotConfigured};
use crate::clock::Clock;
use crate::error::Error;
use crate::grpc;
use crate::grpc::middleware::access_log::AccessLogLayer;
use crate::grpc::middleware::auth::{AuthLayer, KeyRing};
use crate::grpc::middleware::limits::{CallLimits, LimitsLayer};
use crate::maintenance::cleanup::{self, Retention};
use crate::net::listeners::Listeners;
use crate::net::tls::Tls;
use crate::net::{ConnectionLimits, Transport};
use crate::proto;
use crate::server::health::{DatabaseWatch, Health, NotReady, show_breakers};
use crate::server::shutdown::DrainLimits;
use crate::store::{Database, DatabaseTarget, Pooler, ReplicaSettings, SchemaError};
use crate::telemetry::metrics::{self, Exposition, Metrics};

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
    pub standby: Option<ReplicaSettings>,
    /// Most connections to it, besides the one that watches it.
    pub sessions: usize,
    /// Whether to apply migrations at start.
    pub migrate: bool,
    /// How long a line may take.
    pub line_time_out: Duration,
    /// The carriers, besides the sandbox.
    pub lines: CarrierSettings,
    /// Messages that an identity may send in any 24 hours; `None` = as many as it likes.
    pub sends_per_day: Option<u32>,
    /// How long what was said is kept.
    pub retention: Retention,
    /// What one process takes on.
    pub calls: CallLimits,
    /// What one process takes on in connections.
    pub connections: ConnectionLimits,
    /// TLS, where TCP speaks it.
    pub tls: Option<Tls>,
    /// Steps of a drain.
    pub drain: DrainLimits,
}

/// Why the service ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The schema is not one that this program can work with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// There are lines that nothing is configured for.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// A carrier could not be set up.
    #[error(transparent)]
    Lines(#[from] CarrierConfigError),
    /// A part could not be made.
    #[error(transparent)]
    Assembly(#[from] Error),
    /// The contract's own description is broken.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl From<NotReady> for ServeError {
    fn from(why: NotReady) -> Self {
        match why {
            NotReady::Schema(error) => Self::Schema(error),
            NotReady::NotConfigured(error) => Self::NotConfigured(error),
        }
    }
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
    metrics: Option<TcpListener>,
    webhooks: Option<Webhooks>,
}

impl Server {
    /// Joins the parts. Opens no connection.
    ///
    /// # Errors
    /// See [`Database::new`].
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let tasks = TaskTracker::new();
        let database = DatabaseTarget::new(settings.database.clone(), settings.pooler);
        let mut db = Database::new(database, settings.sessions, tasks.clone())?;
        if let Some(standby) = settings.standby.clone() {
            db = db.with_replica(standby)?;
        }
        let metrics = Metrics::default();
        let carriers = CarrierRegistry::new(
            db.clone(),
            &clock,
            &settings.lines,
            settings.line_time_out,
            &metrics.lines,
        )?;
        let carriers = Arc::new(carriers);
        let keys = KeyRing::new(db.clone(), clock.clone(), metrics.keys.clone());
        let limits = SendLimits { per_day: settings.sends_per_day, line_time_out: settings.line_time_out };
        let app = App { db, clock, carriers, queues: Arc::default(), limits, metrics, tasks };
        Ok(Self { settings, app, keys, ready: watch::Sender::new(false), metrics: None, webhooks: None })
    }

    /// Has metrics scraped from this listener while it runs.
    pub fn expose_metrics(&mut self, listener: TcpListener) {
        self.metrics = Some(listener);
    }

    /// Has carriers deliver to these webhooks while it runs.
    pub fn take(&mut self, webhooks: Webhooks) {
        self.webhooks = Some(webhooks);
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
    pub async fn run(
        self,
        listeners: impl Into<Listeners>,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let Self { settings, app, keys, ready, metrics, webhooks } = self;
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let health = Health::new(reporter, &SERVICES).await;

        let mut routes = grpc::routes(&app, &keys, settings.calls.request as usize);
        routes
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let finish = CancellationToken::new();
        let service = ServiceBuilder::new()
            .layer(AccessLogLayer::new(app.clock.clone(), app.metrics.calls.clone()))
            .layer(LimitsLayer::new(settings.calls, app.db.clone(), finish.clone()))
            .layer(AuthLayer::new(keys.clone()))
            .service(routes.routes().prepare());
        let transport = Transport::open(listeners.into(), settings.connections, settings.tls, service);

        let webhooks = webhooks.map(|webhooks| tokio::spawn(webhooks.run(app.clone(), finish.clone())));

        let mut opened = ready.subscribe();
        let watch = DatabaseWatch {
            endpoint: DatabaseTarget::new(settings.database.clone(), settings.pooler),
            migrate: settings.migrate.then_some(settings.database),
            db: app.db.clone(),
            carriers: app.carriers.clone(),
            keys: keys.clone(),
            health: health.clone(),
            metrics: app.metrics.clone(),
            ready,
        };
        let background = CancellationToken::new();
        let exposed = metrics.map(|listener| {
            let exposition = Exposition::new(&app, &keys, settings.calls.in_flight);
            tokio::spawn(metrics::serve(listener, exposition, background.clone()))
        });
        let watching = tokio::spawn(watch.run(background.clone()));
        let showing = show_breakers(
            health.clone(),
            app.carriers.clone(),
            app.metrics.lines.clone(),
            background.clone(),
        );
        let showing = tokio::spawn(showing);
        let writing = tokio::spawn(write_down_uses(keys.clone(), background.clone()));
        let sweep_app = app.clone();
        let sweep_stop = background.clone();
        let sweeping = tokio::spawn(async move {
            tokio::select! {
                _ = opened.wait_for(|open| *open) => {}
                () = sweep_stop.cancelled() => {}
            }
            cleanup::run(sweep_app, settings.retention, sweep_stop).await;
        });
        let (failed, mut failure) = watch::channel(false);
        let watching = tokio::spawn(async move {
            let ended = watching.await.unwrap_or(Ok(()));
            failed.send_replace(ended.is_err());
            ended
        });

        tokio::select! {
            () = stop.cancelled() => {}
            _ = failure.wait_for(|failed| *failed) => {}
        }
        health.set(ServingStatus::NotServing).await;
        sleep(settings.drain.grace).await;
        finish.cancel();
        transport.drain(settings.drain.finish).await;

        // What goes on without its caller gets the same time again, as do webhooks; then nothing may write any more.
        let give_up = Instant::now() + settings.drain.finish;
        if let Some(mut webhooks) = webhooks
            && timeout_at(give_up, &mut webhooks).await.is_err()
        {
            tracing::warn!("webhooks under way were cut at the end of the drain");
            webhooks.abort();
        }
        app.tasks.close();
        if timeout_at(give_up, app.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = app.tasks.len(), "work without a caller was cut at the end of the drain");
        }
        background.cancel();
        let _ = tokio::join!(writing, sweeping, showing, futures_util::future::OptionFuture::from(exposed));
        if timeout(LAST_WRITE_LIMIT, keys.write_down_uses()).await.is_err() {
            tracing::warn!("the last uses of keys were not written down");
        }
        app.db.close();
        watching.await.unwrap_or(Ok(()))?;
        Ok(())
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
