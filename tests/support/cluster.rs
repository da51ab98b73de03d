//! A PostgreSQL server for one test, with arbitrary settings, and streaming standbys of it.

use std::path::PathBuf;
use std::process::Command;

use inkbox_imessage::domain::LineRole;
use inkbox_imessage::server::Settings;
use inkbox_imessage::store;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::app::{POOL_LINES, ROUTER_LINE};
use super::servers::{self, Running};
use super::{TestApp, eventually};

/// The signal of a fast shutdown, which does not wait for clients.
pub const FAST: &str = "INT";
/// The signal of an immediate shutdown. Like after a crash, the next start recovers from the WAL.
pub const CRASH: &str = "QUIT";

/// Only part of the socket's file name: the server does not listen on TCP.
const PORT: u16 = 5432;

static PREPARED: OnceCell<TempDir> = OnceCell::const_new();

/// A server that stops, and whose folder is removed, at the end of the test.
pub struct Cluster {
    // Fields are dropped in order: the server stops before its folder is removed.
    running: Option<Running>,
    pub folder: TempDir,
    settings: Vec<String>,
    port: u16,
}

impl Cluster {
    /// Starts a server with an empty, migrated database and these additional settings.
    pub async fn start(settings: &[&str]) -> Self {
        Self::start_on(PORT, settings).await
    }

    /// The same on a TCP port, which the settings have to open.
    pub async fn start_on(port: u16, settings: &[&str]) -> Self {
        let prepared = PREPARED.get_or_init(prepare).await;
        let mut cluster = Self::in_folder(settings);
        cluster.port = port;
        copy(&prepared.path().join("data"), &cluster.data());
        cluster.started().await
    }

    fn in_folder(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        Self { running: None, folder: servers::folder(), settings, port: PORT }
    }

    /// Starts a streaming standby of this server.
    pub async fn standby(&self) -> Self {
        let standby = Self::in_folder(&[]);
        let (from, to) = (self.folder.path().to_str().unwrap(), standby.data());
        let to = to.to_str().unwrap();
        // -R writes standby.signal and primary_conninfo.
        let arguments =
            ["-h", from, "-p", "5432", "-U", "inkbox", "-D", to, "-R", "-X", "stream", "-c", "fast"];
        servers::run(&program("pg_basebackup"), &arguments);
        standby.started().await
    }

    async fn started(mut self) -> Self {
        self.start_again().await;
        self
    }

    /// Starts the stopped server and waits until it accepts connections.
    pub async fn start_again(&mut self) {
        let folder = self.folder.path().to_str().unwrap();
        let mut arguments = ["-D", self.data().to_str().unwrap(), "-k", folder].map(str::to_owned).to_vec();
        let usual = ["listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=60"];
        for setting in usual.into_iter().chain(self.settings.iter().map(String::as_str)) {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        let log = self.folder.path().join("log");
        self.running = Some(Running::start(FAST, &program("postgres"), &arguments, &log));
        eventually("PostgreSQL answers", async || self.options().connect().await.ok().map(drop)).await;
    }

    pub fn stop(&mut self, signal: &str) {
        self.running.take().unwrap().stop(signal);
    }

    /// Kills all processes of the server at once, so that none can react to the end of another.
    pub fn kill(&mut self) {
        let postmaster = self.postmaster();
        // The postmaster is stopped first, because it would start new processes.
        servers::signal("-STOP", &postmaster);
        let mut processes = servers::children(&postmaster);
        assert!(processes.len() > 2, "{processes:?}");
        processes.push(postmaster);
        for process in &processes {
            servers::signal("-KILL", process);
        }
        self.running.take().unwrap().until_ended();
    }

    /// Kills one child process, such as a backend. The postmaster then ends all others and recovers.
    pub fn kill_a_backend(&self, which: usize) {
        let processes = servers::children(&self.postmaster());
        servers::signal("-KILL", &processes[which % processes.len()]);
    }

    fn postmaster(&self) -> String {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    /// [`Self::options`] as a URL.
    pub fn url(&self) -> String {
        let folder = self.folder.path().to_str().unwrap();
        format!("postgres://inkbox@localhost:{}/inkbox?host={folder}&sslmode=disable", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Connects to the database through the socket, as superuser.
    pub fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().socket(self.folder.path()).port(self.port);
        options.username("inkbox").database("inkbox").ssl_mode(PgSslMode::Disable)
    }

    pub async fn connect(&self) -> PgConnection {
        self.options().connect().await.unwrap()
    }

    pub fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(1).connect_lazy_with(self.options())
    }

    pub async fn execute(&self, statement: &str) {
        self.connect().await.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    }

    /// Starts the service on this server, with a router line and three pool lines.
    pub async fn app(&self, change: impl FnOnce(&mut Settings)) -> TestApp {
        let app = TestApp::builder().database(self.options()).settings(change).start().await;
        app.add_line(ROUTER_LINE, LineRole::Router).await;
        for line in POOL_LINES {
            app.add_line(line, LineRole::Pool).await;
        }
        app
    }
}

/// Creates the data folder that the servers of tests are copied from.
async fn prepare() -> TempDir {
    let mut cluster = Cluster::in_folder(&[]);
    let data = cluster.data();
    let as_usual = ["-U", "inkbox", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"];
    servers::run(&program("initdb"), &[&as_usual[..], &[data.to_str().unwrap()]].concat());
    let folder = cluster.folder.path().to_str().unwrap().to_owned();
    let arguments =
        ["-D", data.to_str().unwrap(), "-k", &folder, "-c", "listen_addresses="].map(str::to_owned);
    let log = cluster.folder.path().join("log");
    cluster.running = Some(Running::start(FAST, &program("postgres"), &arguments, &log));
    let maintenance = cluster.options().database("postgres");
    let mut connection = eventually("PostgreSQL answers", async || maintenance.connect().await.ok()).await;
    connection.execute("CREATE DATABASE inkbox").await.unwrap();
    drop(connection);
    store::migrate(&cluster.options()).await.unwrap();
    cluster.stop(FAST);
    cluster.folder
}

/// Copies a folder with owners and modes, which PostgreSQL checks.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}

/// The path of a program of the newest installed PostgreSQL.
fn program(name: &str) -> PathBuf {
    let mut folders: Vec<_> = ["/usr/lib/postgresql", "/opt/homebrew/opt"]
        .iter()
        .filter_map(|parent| std::fs::read_dir(parent).ok())
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    folders.sort();
    folders.reverse();
    servers::find(name, &folders, "`make setup` installs it")
}
