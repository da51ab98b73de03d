//! The composition root: creates the parts of the service, connects them, and stops them in order.

mod database_monitor;
mod error;
mod reflection;
mod settings;
mod supervisor;

pub mod health;
pub mod shutdown;

pub use self::error::ServeError;
pub use self::settings::Settings;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceBuilder;

use self::database_monitor::DatabaseMonitor;
use self::supervisor::{Supervisor, infallible};
use crate::admission::{ActionRate, Admission};
use crate::app::{App, SendLimits};
use crate::auth::KeyCache;
use crate::carrier_webhooks::Webhooks;
use crate::carriers::{CarrierRegistry, TypingLeases};
use crate::clock::{Clock, ClockSkew};
use crate::grpc;
use crate::grpc::middleware::access_log::AccessLogLayer;
use crate::grpc::middleware::admission::AdmissionLayer;
use crate::grpc::middleware::auth::AuthLayer;
use crate::grpc::middleware::limits::LimitsLayer;
use crate::grpc::middleware::open_services::MAX_REQUEST_BYTES;
use crate::maintenance::cleanup::{self, Schedule};
use crate::maintenance::{back_fill, pending};
use crate::messaging::events::{Cursors, poll_heads};
use crate::messaging::router_replies;
use crate::net::Transport;
use crate::net::listeners::Listeners;
use crate::server::health::{Health, ServingStatus, publish_breaker_health};
use crate::server::shutdown::Shutdown;
use crate::store::{Database, DatabaseTarget};
use crate::telemetry::metrics::{self, Exposition, Metrics, PoolSample, Sample};

/// Interval between flushes of key usage.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);
/// Limit of the last flush at shutdown.
const LAST_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// How long connections wait in the backlog of the operating system for the first answer of the database. Calls that come
/// earlier would fail; but if the database is down, clients have to hear that, and probes have to be answered.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long background tasks may take to stop at the end of a drain. They stop between two statements.
const TASK_STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The service, assembled but not yet serving.
pub struct Server {
    settings: Settings,
    app: App,
    keys: KeyCache,
    ready: watch::Sender<bool>,
    metrics: Option<TcpListener>,
    webhooks: Option<Webhooks>,
}

impl Server {
    /// Connects the parts. Opens no connection to the database.
    ///
    /// # Errors
    /// See [`Database::new`].
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let tasks = TaskTracker::new();
        let database = DatabaseTarget::new(settings.database.clone(), settings.pooler);
        let mut db = Database::new(database, settings.sessions, tasks.clone());
        if let Some(standby) = settings.standby.clone() {
            db = db.with_replica(standby);
        }
        let metrics = Metrics::default();
        let carriers = CarrierRegistry::new(
            db.clone(),
            &clock,
            &settings.lines,
            settings.admission.share,
            settings.line_time_out,
            &metrics.carriers,
        )?;
        let carriers = Arc::new(carriers);
        let keys = KeyCache::new(db.clone(), clock.clone(), metrics.keys.clone());
        let limits = SendLimits { per_day: settings.sends_per_day, line_time_out: settings.line_time_out };
        let admission = Admission::new(settings.admission);
        let actions = Arc::new(ActionRate::new(settings.actions_per_minute));
        let queues = Arc::default();
        let typing = Arc::new(TypingLeases::new(settings.admission.share, settings.typing_renewal));
        let skew = ClockSkew::default();
        let router_replies = Arc::default();
        let app = App {
            db,
            clock,
            skew,
            admission,
            carriers,
            queues,
            typing,
            limits,
            actions,
            cursors: Cursors::default(),
            router_replies,
            metrics,
            tasks,
        };
        Ok(Self { settings, app, keys, ready: watch::Sender::new(false), metrics: None, webhooks: None })
    }

    /// Serves metrics on this listener.
    #[must_use]
    pub fn with_metrics(mut self, listener: TcpListener) -> Self {
        self.metrics = Some(listener);
        self
    }

    /// Serves the carriers' webhooks.
    #[must_use]
    pub fn with_webhooks(mut self, webhooks: Webhooks) -> Self {
        self.webhooks = Some(webhooks);
        self
    }

    /// The parts, for work outside of calls (the demo).
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Becomes true when the database is open and calls can be served.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Serves until `stop` is cancelled or a background task fails, then drains.
    ///
    /// # Errors
    /// The first failure of a background task; see [`ServeError`].
    pub async fn run(
        self,
        listeners: impl Into<Listeners>,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let (app, keys, limits) = (self.app.clone(), self.keys.clone(), self.settings.drain);
        let shutdown = Shutdown::default();
        let mut tasks = Supervisor::default();
        let health = Health::new(grpc::SERVICES);
        let open = self.prepare_to_open(listeners.into(), &health, &shutdown)?;
        let mut ready = self.ready();
        self.start_tasks(&mut tasks, &health, &shutdown);
        tokio::select! {
            _ = timeout(FIRST_ANSWER_TIMEOUT, ready.wait_for(|ready| *ready)) => {}
            () = stop.cancelled() => {}
            () = tasks.failed() => {}
        }
        let mut transport = open();
        for (name, task) in transport.take_tasks() {
            tasks.adopt(name, &shutdown.drain, task);
        }

        tokio::select! {
            () = stop.cancelled() => {}
            () = tasks.failed() => {}
        }
        health.set(ServingStatus::NotServing);
        sleep(limits.grace).await;
        shutdown.drain.cancel();
        app.typing.drain();
        transport.drain(limits.finish).await;

        // Webhooks, and work whose caller has disconnected, get the same time once more.
        let deadline = Instant::now() + limits.finish;
        tasks.join_stopped(deadline).await;
        app.tasks.close();
        if timeout_at(deadline, app.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = app.tasks.len(), "detached work was cut off at the end of the drain");
        }
        shutdown.end.cancel();
        tasks.join_stopped(Instant::now() + TASK_STOP_TIMEOUT).await;
        if timeout(LAST_FLUSH_TIMEOUT, keys.flush_usage()).await.is_err() {
            tracing::warn!("the last usage of keys was not recorded");
        }
        app.db.close();
        tasks.into_result()
    }

    /// Returns what starts to accept connections.
    fn prepare_to_open(
        &self,
        listeners: Listeners,
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<impl FnOnce() -> Transport + use<>, ServeError> {
        let Self { settings, app, keys, .. } = self;
        let reflection = reflection::service()?;
        let mut routes = grpc::routes(app, keys, settings.calls.request as usize);
        routes
            .add_service(health.service().max_decoding_message_size(MAX_REQUEST_BYTES))
            .add_service(reflection.clone())
            .add_service(reflection::V1Alpha(reflection));
        let service = ServiceBuilder::new()
            .layer(AccessLogLayer::new(app.clock.clone(), app.metrics.calls.clone()))
            .layer(LimitsLayer::new(settings.calls, shutdown.drain.clone()))
            .layer(AuthLayer::new(keys.clone()))
            .layer(AdmissionLayer::new(
                app.admission.clone(),
                app.db.clone(),
                settings.admission.queue_timeout,
                settings.calls.request as usize,
            ))
            .service(routes.routes().prepare());
        let (connections, tls) = (settings.connections, settings.tls.clone());
        Ok(move || Transport::open(listeners, connections, tls, service))
    }

    /// Starts the background tasks. Webhooks stop with the drain, like calls; the others stop at its end, since detached
    /// work still needs the database and its metrics.
    fn start_tasks(self, tasks: &mut Supervisor, health: &Health, shutdown: &Shutdown) {
        let Self { settings, app, keys, ready, metrics, webhooks } = self;
        let (drain, end) = (&shutdown.drain, &shutdown.end);
        if let Some(webhooks) = webhooks {
            // A carrier whose webhooks are not served here delivers through the operator's gateway, under ids of its own.
            let carriers = webhooks.carriers();
            let back_fill = back_fill::run(app.clone(), carriers, health.serving(), end.clone());
            let back_fill = once_open(ready.subscribe(), end.clone(), back_fill);
            tasks.spawn("back-fill", end, infallible(back_fill));
            tasks.spawn("webhooks", drain, infallible(webhooks.run(app.clone(), drain.clone())));
        }
        if let Some(listener) = metrics {
            let exposition = exposition(&app, &keys);
            tasks.spawn(
                "metrics",
                end,
                infallible(metrics::serve(listener, exposition, health.serving(), end.clone())),
            );
        }
        let (carriers, carrier_metrics) = (app.carriers.clone(), app.metrics.carriers.clone());
        let publish = publish_breaker_health(health.clone(), carriers, carrier_metrics, end.clone());
        tasks.spawn("carrier health", end, infallible(publish));
        tasks.spawn("key usage", end, infallible(flush_key_usage(keys.clone(), end.clone())));
        let schedule = Schedule { retention: settings.retention, max_skew: settings.max_clock_skew };
        let cleanup = cleanup::run(app.clone(), schedule, end.clone());
        let cleanup = once_open(ready.subscribe(), end.clone(), cleanup);
        tasks.spawn("cleanup", end, infallible(cleanup));
        let pending = once_open(ready.subscribe(), end.clone(), pending::run(app.clone(), end.clone()));
        tasks.spawn("pending messages", end, infallible(pending));
        let replies =
            once_open(ready.subscribe(), end.clone(), router_replies::run(app.clone(), end.clone()));
        tasks.spawn("router replies", end, infallible(replies));
        let heads = once_open(ready.subscribe(), end.clone(), poll_heads(app.db.clone(), end.clone()));
        tasks.spawn("event heads", end, infallible(heads));
        let monitor = DatabaseMonitor {
            endpoint: DatabaseTarget::new(settings.database.clone(), settings.pooler),
            migrate: settings.migrate.then_some(settings.database),
            db: app.db,
            carriers: app.carriers,
            keys,
            health: health.clone(),
            metrics: app.metrics,
            clock: app.clock,
            skew: app.skew,
            ready,
        };
        tasks.spawn("database monitor", end, monitor.run(end.clone()));
    }
}

/// The metrics, with the gauges that are read from the parts of the service at each scrape.
fn exposition(app: &App, keys: &KeyCache) -> Exposition {
    let max_concurrent_calls = app.admission.calls.capacity();
    let (db, queues, tasks, keys) = (app.db.clone(), app.queues.clone(), app.tasks.clone(), keys.clone());
    let (skew, streams) = (app.skew.clone(), app.admission.streams.clone());
    Exposition::new(&app.metrics, app.clock.now(), move || {
        let (pool, queues) = (db.pool_state(), queues.stats());
        Sample {
            max_concurrent_calls,
            cached_keys: keys.cached_keys(),
            pool: PoolSample {
                max_sessions: pool.most,
                in_use: pool.in_use,
                idle: pool.idle,
                waiting: pool.waiting,
                opened: pool.opened,
            },
            queues_busy: queues.busy,
            queue_waiting: queues.waiting,
            background_tasks: tasks.len(),
            clock_skew: skew.get(),
            event_streams: streams.used(),
        }
    })
}

/// Runs a task from the moment the database is open.
async fn once_open(
    mut ready: watch::Receiver<bool>,
    stop: CancellationToken,
    task: impl Future<Output = ()>,
) {
    tokio::select! {
        Ok(_) = ready.wait_for(|ready| *ready) => {}
        () = stop.cancelled() => return,
    }
    task.await;
}

async fn flush_key_usage(keys: KeyCache, stop: CancellationToken) {
    let mut ticks = interval(FLUSH_INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => keys.flush_usage().await,
            () = stop.cancelled() => return,
        }
    }
}
