//! The database is down, or stands still: what callers and probes are told, how soon, and how soon it is over.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::dev::embedded_postgres::{Options, Server};
use inkbox_imessage::domain::LineRole;
use inkbox_imessage::proto::{ListConversationsRequest, WhoAmIRequest};
use inkbox_imessage::store;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::support::app::ROUTER_LINE;
use crate::support::callers::Caller;
use crate::support::servers;
use crate::support::{Human, TestApp, assert_reason, eventually};

/// In which every call is answered while the database is not.
const ANSWERED: Duration = Duration::from_secs(3);
/// In which health says so.
const NOTICED: Duration = Duration::from_secs(10);
/// In which calls work after it is back.
const RECOVERED: Duration = Duration::from_secs(5);
/// A secret that no one was given.
const MADE_UP: &str = "ink_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A PostgreSQL of the test's own, which it stops at the end at the latest: the folder is removed after that.
struct Postgres {
    folder: TempDir,
    server: Option<Server>,
}

impl Postgres {
    async fn start() -> Self {
        let mut postgres = Self { folder: tempfile::tempdir_in("/tmp").unwrap(), server: None };
        postgres.start_again().await;
        postgres
    }

    async fn start_again(&mut self) {
        let data_dir = self.folder.path().to_owned();
        let options = Options { data_dir, durable: false, max_connections: 100 };
        self.server = Some(Server::start(options).await.unwrap());
    }

    async fn stop(&mut self) {
        self.server.take().unwrap().stop().await.unwrap();
    }

    async fn migrated(&self) -> PgConnectOptions {
        let options = self.server.as_ref().unwrap().connect_options("inkbox");
        store::migrate(&options).await.unwrap();
        options
    }

    /// Stops every process of the server where it stands, until the guard is dropped.
    fn freeze(&self) -> Frozen {
        let pid_file = self.folder.path().join("pgdata/postmaster.pid");
        let postmaster = std::fs::read_to_string(pid_file).unwrap().lines().next().unwrap().to_owned();
        // First the one that would make others.
        let mut frozen = Frozen { pids: vec![postmaster.clone()] };
        frozen.signal("-STOP");
        frozen.pids.extend(servers::children(&postmaster));
        assert!(frozen.pids.len() > 2, "{:?}", frozen.pids);
        frozen.signal("-STOP");
        frozen
    }
}

struct Frozen {
    pids: Vec<String>,
}

impl Frozen {
    fn signal(&self, signal: &str) {
        for pid in &self.pids {
            servers::signal(signal, pid);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// Callers whose keys the service knows, could look up, or does not know.
struct Callers {
    cached: Caller,
    uncached: Caller,
    router: Human,
    made_up: Caller,
}

impl Callers {
    async fn of(app: &TestApp) -> Self {
        let identity = app.identity("org_a").await;
        let cached = app.agent(&identity).await;
        let router = Human::new(app, "+15551230001").await;
        router.commands("list").await;
        cached.list_conversations(ListConversationsRequest::default()).await.unwrap();
        Self { cached, uncached: app.agent(&identity).await, router, made_up: app.with_secret(MADE_UP) }
    }

    /// More calls at once than there are sessions, of every kind of caller: each is told in time.
    async fn are_all_told(&self) {
        let tell = async |n: usize| {
            let began = Instant::now();
            let list = ListConversationsRequest::default();
            let answer = match n % 5 {
                0 => self.cached.list_conversations(list).await.map(drop),
                1 => self.cached.who_am_i(WhoAmIRequest {}).await.map(drop),
                2 => self.uncached.list_conversations(list).await.map(drop),
                3 => self.made_up.list_conversations(list).await.map(drop),
                _ => {
                    let text = self.router.text(ROUTER_LINE, "connect @someone");
                    self.router.router.receive_message(text).await.map(drop)
                }
            };
            assert_reason(answer, "STORAGE_UNAVAILABLE");
            assert!(began.elapsed() < ANSWERED, "call {n} was answered after {:?}", began.elapsed());
        };
        join_all((0..30).map(tell)).await;
    }

    /// As many calls at once: each works.
    async fn are_all_served(&self) {
        let serve = async |n: usize| {
            let caller = if n.is_multiple_of(2) { &self.cached } else { &self.uncached };
            caller.list_conversations(ListConversationsRequest::default()).await.unwrap();
        };
        join_all((0..30).map(serve)).await;
        let answer = self.made_up.list_conversations(ListConversationsRequest::default()).await;
        assert_reason(answer, "API_KEY_INVALID");
        self.router.commands("list").await;
    }
}

async fn until_health_is(app: &TestApp, status: &str, limit: Duration) {
    let said = eventually("health says so", async || (app.health("").await == Some(status)).then_some(()));
    timeout(limit, said).await.unwrap_or_else(|_| panic!("not {status} within {limit:?}"));
    assert_eq!(app.health("inkbox.imessage.v1.ConversationService").await, Some(status));
}

async fn with_lines(options: &PgConnectOptions) -> TestApp {
    let app = TestApp::builder().database(options.clone()).start().await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    app
}

#[tokio::test]
async fn a_stopped_database_is_told_in_time_and_forgotten_when_it_is_back() {
    let mut postgres = Postgres::start().await;
    let app = with_lines(&postgres.migrated().await).await;
    let callers = Callers::of(&app).await;

    postgres.stop().await;
    callers.are_all_told().await;
    until_health_is(&app, "NOT_SERVING", NOTICED).await;
    callers.are_all_told().await;
    postgres.start_again().await;
    until_health_is(&app, "SERVING", RECOVERED).await;
    callers.are_all_served().await;

    // No call happens during the outage: the first calls after it must not get the old sessions.
    postgres.stop().await;
    until_health_is(&app, "NOT_SERVING", NOTICED).await;
    postgres.start_again().await;
    until_health_is(&app, "SERVING", RECOVERED).await;
    callers.are_all_served().await;
    postgres.stop().await;
}

#[tokio::test]
async fn a_database_that_stands_still_is_told_in_time_and_forgotten_when_it_goes_on() {
    let mut postgres = Postgres::start().await;
    let app = with_lines(&postgres.migrated().await).await;
    let callers = Callers::of(&app).await;

    let frozen = postgres.freeze();
    let calls = async {
        callers.are_all_told().await;
        callers.are_all_told().await;
    };
    tokio::join!(calls, until_health_is(&app, "NOT_SERVING", NOTICED));
    drop(frozen);
    until_health_is(&app, "SERVING", RECOVERED).await;
    callers.are_all_served().await;
    postgres.stop().await;
}

#[tokio::test]
async fn a_server_starts_without_a_database_and_waits_for_it() {
    let mut postgres = Postgres::start().await;
    let options = postgres.server.as_ref().unwrap().connect_options("inkbox");
    postgres.stop().await;

    let app =
        TestApp::builder().database(options).settings(|settings| settings.migrate = true).launch().await;
    until_health_is(&app, "NOT_SERVING", NOTICED).await;
    let began = Instant::now();
    let answer = app.with_secret(MADE_UP).list_conversations(ListConversationsRequest::default()).await;
    assert_reason(answer, "STORAGE_UNAVAILABLE");
    assert!(began.elapsed() < ANSWERED);

    postgres.start_again().await;
    until_health_is(&app, "SERVING", RECOVERED).await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    postgres.stop().await;
}

#[tokio::test]
async fn a_server_stops_in_time_while_its_database_is_down() {
    let mut postgres = Postgres::start().await;
    let mut app = with_lines(&postgres.migrated().await).await;
    Callers::of(&app).await;
    postgres.stop().await;
    app.stop.cancel();
    timeout(NOTICED, &mut app.running).await.expect("a server that ends").unwrap().unwrap();
}
