//! A private PostgreSQL server for development, the command line and the test suite.
//!
//! It runs the PostgreSQL programs of the machine on a data folder (`lock`, `postgres.log`, `pgdata`, `socket`) that
//! survives restarts. Only its account and root can reach its Unix socket. Two file locks carry the guarantees, so that no
//! process id has to be trusted:
//!
//! - The process of a [`Server`] holds `lock`, so that a folder has one owner.
//! - Every database process inherits the descriptor of `postgres.log` as its output, so that the lock of that file is free
//!   exactly when the last database process has ended.

mod data_folder;
mod error;
mod programs;
mod restart;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::process::{Child, ChildStdin};
use tokio::time::{sleep, timeout};

use self::data_folder::DataFolder;
pub use self::error::Error;
use self::error::io_error;
use self::programs::SHELL;
pub use self::restart::keep_running;
pub use self::settings::Options;
use self::settings::{POLL_INTERVAL, START_TIMEOUT, connect_options, settings};

/// Maximum duration of an attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A running server. It ends when this process ends, even if this process is killed. Dropping it starts the shutdown.
#[derive(Debug)]
pub struct Server {
    folder: DataFolder,
    child: Child,
    /// Never written to: closing it makes the supervising shell stop the server.
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Starts the server and returns when it accepts connections and the database `inkbox` exists. A server that an earlier
    /// process did not stop is stopped first, and an incomplete cluster is removed.
    ///
    /// # Errors
    /// Every kind of [`Error`]. Programs that were started are stopped again.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let folder = DataFolder::open(&options.data_dir).await?;
        let programs = folder.find_programs().await?;
        let log = folder.stop_processes().await?;
        log.set_len(0).map_err(io_error("empty", &folder.log))?;
        if !folder.pgdata.join("PG_VERSION").exists() {
            folder.initialise(&programs, options.durable, &log).await?;
        }
        let socket = folder.data.join("socket");
        folder.private_dir(&socket)?;
        let program = programs.join("postgres");
        let mut child = folder.launch(&program, &folder.pgdata, settings(&options, &socket), &log)?;
        let lifeline = child.stdin.take();
        let mut server = Self { folder, child, lifeline };
        match timeout(START_TIMEOUT, server.accepts_connections()).await {
            Ok(ready) => ready?,
            Err(_) => return Err(server.folder.failed("postgres", "does not accept connections in time")),
        }
        tracing::info!(folder = %server.folder.data.display(), "private PostgreSQL server is ready");
        Ok(server)
    }

    /// Options for a connection to a database of this server, as the superuser.
    #[must_use]
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        connect_options(&self.folder.data, database)
    }

    /// Returns when the server has ended unexpectedly, and logs that.
    pub async fn wait_exit(&mut self) {
        let status = self.child.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string());
        tracing::error!(%status, log = %self.folder.log.display(), "private PostgreSQL server has ended");
    }

    /// Closes all sessions, stops the server and waits for its end. If the fast shutdown takes more than 15 seconds, the
    /// server is stopped without a last checkpoint, and recovers at the next start.
    ///
    /// # Errors
    /// [`Error::Failed`] if a process of the server remains.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.lifeline.take());
        self.folder.stop_processes().await?;
        // The shell has ended as well, since it held the log open. This collects its exit status.
        self.child.wait().await.map(drop).map_err(io_error("wait for", Path::new(SHELL)))
    }

    /// Waits without a timeout until a connection is accepted, and creates the database if it does not exist.
    async fn accepts_connections(&mut self) -> Result<(), Error> {
        let options = connect_options(&self.folder.data, "postgres");
        let mut connection = loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.folder.failed("postgres", &format!("ended early ({status})")));
            }
            match timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await {
                Ok(Ok(connection)) => break connection,
                // 57P03: the server is starting or recovering. Any other error persists.
                Ok(Err(sqlx::Error::Database(e))) if e.code().as_deref() != Some("57P03") => {
                    return Err(sqlx::Error::Database(e).into());
                }
                Ok(Err(_)) | Err(_) => sleep(POLL_INTERVAL).await,
            }
        };
        let exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'inkbox')";
        if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut connection).await? {
            sqlx::query("CREATE DATABASE inkbox").execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }
}

/// The default data folder: `/var/lib/inkbox-imessage` for root, else `inkbox-imessage` in `$XDG_DATA_HOME` or
/// `~/.local/share`; `None` for an account without a home folder. A relative folder would depend on where the process is
/// started, so that the next start might not find its data.
#[must_use]
pub fn default_data_dir() -> Option<PathBuf> {
    if geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/inkbox-imessage"));
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let xdg = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(absolute);
    let home = || std::env::home_dir().filter(absolute).map(|home| home.join(".local/share"));
    xdg.or_else(home).map(|folder| folder.join("inkbox-imessage"))
}

/// Options for a connection to the server that is already running on this folder, if there is one and it answers.
pub async fn running(data_dir: &Path, database: &str) -> Option<PgConnectOptions> {
    let data = fs::canonicalize(data_dir).ok()?;
    let options = connect_options(&data, "postgres");
    let connection = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await.ok()?.ok()?;
    connection.close().await.ok()?;
    Some(connect_options(&data, database))
}
