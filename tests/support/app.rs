//! The assembled server, on its own port and database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use inkbox_imessage::admission::{AdmissionLimits, Share};
use inkbox_imessage::app::App;
use inkbox_imessage::auth::{self, NewKey};
use inkbox_imessage::carriers::CarrierSettings;
use inkbox_imessage::clock::{Clock, DatabaseClock};
use inkbox_imessage::domain::{ApiKeyScope, CarrierKind, LineRole, PhoneNumber};
use inkbox_imessage::grpc::middleware::limits::CallLimits;
use inkbox_imessage::maintenance::cleanup::Retention;
use inkbox_imessage::net::ConnectionLimits;
use inkbox_imessage::proto::{CreateIdentityRequest, FilterMode, Identity};
use inkbox_imessage::server::shutdown::DrainLimits;
use inkbox_imessage::server::{ServeError, Server, Settings};
use inkbox_imessage::store::{self, Database, Pooler};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};

use super::callers::Caller;
use super::clock::TestClock;
use super::{PATIENCE, database};

/// The router line of every test.
pub const ROUTER_LINE: &str = "+12025550100";
/// The pool lines of every test.
pub const POOL_LINES: [&str; 3] = ["+12025550101", "+12025550102", "+12025550103"];

/// A running service.
pub struct TestApp {
    pub address: SocketAddr,
    /// The address of the metrics listener.
    pub metrics: SocketAddr,
    pub options: PgConnectOptions,
    /// For tests that read or write rows.
    pub pool: PgPool,
    pub clock: Arc<TestClock>,
    /// The shared parts of the running service.
    pub parts: App,
    pub stop: CancellationToken,
    pub running: JoinHandle<Result<(), ServeError>>,
    db: Database,
    next_handle: AtomicU32,
}

/// The configuration of a service under test.
pub struct Builder {
    /// Boxed, because the futures of tests hold several copies of the builder.
    settings: Box<Settings>,
    /// The database itself. The settings may lead to it through a pooler, past which tests make their rows.
    database: Option<PgConnectOptions>,
    clock: Arc<TestClock>,
    follows_database: bool,
    prepare: Box<dyn FnOnce(Server) -> Server>,
}

impl Builder {
    /// Uses an existing database. Without this the service gets an empty database with [`ROUTER_LINE`] and [`POOL_LINES`].
    pub fn database(mut self, options: PgConnectOptions) -> Self {
        self.settings.database = options.clone();
        self.database = Some(options);
        self
    }

    /// Changes settings.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Uses the clock of another service.
    pub fn clock(mut self, clock: Arc<TestClock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the clock ahead before the service starts.
    pub fn advanced(self, by: TimeDelta) -> Self {
        self.clock.advance(by);
        self
    }

    /// Takes the clock for that of the machine, which may be wrong. Without this it is the right one.
    pub const fn follows_database(mut self) -> Self {
        self.follows_database = true;
        self
    }

    /// Changes the assembled server before it runs.
    pub fn server(mut self, prepare: impl FnOnce(Server) -> Server + 'static) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    /// Starts the service and waits until it is SERVING.
    pub async fn start(mut self) -> TestApp {
        let has_database = self.database.is_some();
        if !has_database {
            self = self.database(database::fresh().await);
        }
        // The future of `launch` is large, because it holds the server that it assembles.
        let app = Box::pin(self.launch()).await;
        app.until_ready().await;
        if !has_database {
            app.add_lines().await;
        }
        app
    }

    /// Starts the service without waiting for it. Needs [`Self::database`].
    pub async fn launch(self) -> TestApp {
        let options = self.database.expect("launch() needs a database");
        let clock: Arc<dyn Clock> = if self.follows_database {
            Arc::new(DatabaseClock::new(self.clock.clone()))
        } else {
            self.clock.clone()
        };
        let mut server = (self.prepare)(Server::new(*self.settings, clock).unwrap());
        let parts = server.app().clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metrics = metrics_listener.local_addr().unwrap();
        server = server.with_metrics(metrics_listener);
        let stop = CancellationToken::new();
        let db = Database::new(&options, 2, TaskTracker::new());
        db.open();
        TestApp {
            address,
            metrics,
            pool: PgPoolOptions::new().max_connections(2).connect_lazy_with(options.clone()),
            options,
            clock: self.clock,
            parts,
            running: tokio::spawn(Box::pin(server.run(listener, stop.clone()))),
            stop,
            db,
            next_handle: AtomicU32::new(0),
        }
    }
}

impl TestApp {
    /// A service with the settings of [`Self::settings`], a router line and three pool lines.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::builder().settings(change).start().await
    }

    pub fn builder() -> Builder {
        Builder {
            settings: Box::new(Self::settings(PgConnectOptions::new_without_pgpass())),
            database: None,
            clock: Arc::default(),
            follows_database: false,
            prepare: Box::new(|server| server),
        }
    }

    /// The settings of a service under test.
    pub fn settings(options: PgConnectOptions) -> Settings {
        Settings {
            database: options,
            pooler: Pooler::None,
            standby: None,
            sessions: 8,
            migrate: false,
            line_time_out: Duration::from_millis(300),
            lines: CarrierSettings::default(),
            sends_per_day: None,
            actions_per_minute: None,
            typing_renewal: None,
            retention: Retention::default(),
            max_clock_skew: Duration::from_secs(30),
            admission: AdmissionLimits {
                calls: 512,
                streams: 1_000,
                memory: 64 << 20,
                share: Share::default(),
                // Long, because tests share a busy machine. The test of this limit sets its own.
                queue_timeout: PATIENCE,
            },
            calls: CallLimits {
                max_duration: Duration::from_mins(1),
                request: 1 << 20,
                metadata: 16 << 10,
                compress_from: 2 << 10,
            },
            connections: ConnectionLimits {
                connections: 4_096,
                per_peer: 4_096,
                unauthenticated_idle: Duration::from_mins(1),
                response_stall: Duration::from_secs(30),
                streams: 256,
                metadata: 16 << 10,
                pending_resets: 64,
                error_resets: 1_024,
                handshake: Duration::from_secs(10),
                keepalive_interval: Duration::from_secs(30),
                keepalive_time_out: Duration::from_secs(10),
                age: None,
                age_grace: Duration::from_mins(5),
            },
            tls: None,
            drain: DrainLimits { grace: Duration::ZERO, finish: Duration::from_secs(5) },
        }
    }

    /// Adds the router line and three pool lines.
    pub async fn add_lines(&self) {
        self.add_line(ROUTER_LINE, LineRole::Router).await;
        for line in POOL_LINES {
            self.add_line(line, LineRole::Pool).await;
        }
    }

    /// Waits until the health service reports SERVING.
    pub async fn until_ready(&self) {
        super::eventually("the service is SERVING", async || {
            (self.health("").await == Some("SERVING")).then_some(())
        })
        .await;
    }

    /// The health status of a gRPC service by name, or `None` if there is no response.
    pub async fn health(&self, service: &str) -> Option<&'static str> {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let mut client = tonic_health::pb::health_client::HealthClient::new(self.channel());
        client.check(request).await.ok().map(|answer| answer.into_inner().status().as_str_name())
    }

    /// A channel that connects at its first call.
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().timeout(PATIENCE).connect_lazy()
    }

    /// Waits until the service has drained and ended.
    pub async fn until_stopped(mut self) {
        (&mut self.running).await.unwrap().unwrap();
    }

    /// Another replica of the service on the same database.
    pub async fn replica(&self) -> Self {
        Self::builder().database(self.options.clone()).start().await
    }

    /// Another replica on the same database and the same clock.
    pub async fn replica_sharing_clock(&self) -> Self {
        Self::builder().database(self.options.clone()).clock(self.clock.clone()).start().await
    }

    /// Adds a line of the sandbox carrier.
    pub async fn add_line(&self, number: &str, role: LineRole) {
        self.add_line_with(number, role, CarrierKind::Sandbox).await;
    }

    /// Adds a line.
    pub async fn add_line_with(&self, number: &str, role: LineRole, carrier: CarrierKind) {
        let number = PhoneNumber::parse(number).unwrap();
        let now = self.clock.now();
        store::lines::add(&self.db, &number, role, carrier, now).await.unwrap().unwrap();
    }

    /// A caller with an admin key of an organization, which is created if it does not exist.
    pub async fn admin(&self, organization: &str) -> Caller {
        let now = self.clock.now();
        store::organizations::create(&self.db, &organization.into(), now).await.unwrap();
        self.caller(ApiKeyScope::Admin, Some(organization), None).await
    }

    /// A caller with an identity key.
    pub async fn agent(&self, identity: &Identity) -> Caller {
        self.caller(ApiKeyScope::Identity, Some(&identity.organization_id), Some(&identity.id)).await
    }

    /// A caller with a router key.
    pub async fn router(&self) -> Caller {
        self.caller(ApiKeyScope::Router, None, None).await
    }

    /// The same caller on this replica.
    pub fn caller_with(&self, caller: &Caller) -> Caller {
        Caller::new(self.channel(), caller.secret.clone())
    }

    /// A caller without any key.
    pub fn stranger(&self) -> Caller {
        Caller::new(self.channel(), None)
    }

    /// A caller with this secret.
    pub fn with_secret(&self, secret: &str) -> Caller {
        Caller::new(self.channel(), Some(secret.to_owned()))
    }

    async fn caller(&self, scope: ApiKeyScope, organization: Option<&str>, identity: Option<&str>) -> Caller {
        let new = NewKey {
            scope,
            organization_id: organization.map(Into::into),
            agent_identity_id: identity.map(|id| uuid::Uuid::try_parse(id).unwrap().into()),
            label: "test".to_owned(),
            expires_at: None,
        };
        let (_, secret) = auth::issue_key(&self.db, &*self.clock, new).await.unwrap();
        self.with_secret(secret.reveal())
    }

    /// A new identity with iMessage enabled and a unique handle.
    pub async fn identity(&self, organization: &str) -> Identity {
        self.identity_with(organization, |_| {}).await
    }

    /// The same with other fields.
    pub async fn identity_with(
        &self,
        organization: &str,
        change: impl FnOnce(&mut CreateIdentityRequest),
    ) -> Identity {
        let number = self.next_handle.fetch_add(1, Ordering::Relaxed);
        let mut request = CreateIdentityRequest {
            agent_handle: format!("agent-{number}-of-{organization}"),
            display_name: None,
            imessage_enabled: true,
            filter_mode: FilterMode::Blacklist.into(),
            description: None,
        };
        change(&mut request);
        let admin = self.admin(organization).await;
        admin.create_identity(request).await.unwrap().identity.unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
