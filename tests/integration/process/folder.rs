//! A data folder for the private PostgreSQL, and what can be seen of it from outside.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use inkbox_imessage::dev::embedded_postgres::{Options, Server};
use inkbox_imessage::store;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::support::database;
use crate::support::program;

/// The longest that the processes of a folder may take to end by themselves.
const ENDED: Duration = Duration::from_secs(10);
/// How often it is looked whether they have.
const POLL: Duration = Duration::from_millis(20);

/// A folder that is removed when the test is over and its database processes are gone.
pub(crate) struct Folder {
    folder: TempDir,
}

static PREPARED: OnceCell<PathBuf> = OnceCell::const_new();

impl Folder {
    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        // Not TMPDIR: the path of a socket must be short, and PostgreSQL's account must be able to reach it.
        Self { folder: tempfile::tempdir_in("/tmp").unwrap() }
    }

    /// A folder with an empty, migrated database, as `migrate` leaves it: a copy of one, since making it takes long.
    pub(crate) async fn migrated() -> Self {
        let folder = Self::empty();
        copy(PREPARED.get_or_init(prepare).await, folder.path());
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether no process of the database is left: each of them holds the log open, and with it the lock on it.
    pub(crate) fn is_free(&self) -> bool {
        File::open(self.path().join("postgres.log")).map_or(true, |log| log.try_lock().is_ok())
    }

    /// The processes whose command line names the folder.
    pub(crate) fn processes(&self) -> Vec<String> {
        let all = Command::new("ps").args(["-A", "-ww", "-o", "args="]).output().unwrap().stdout;
        let path = self.path().to_str().unwrap();
        String::from_utf8_lossy(&all).lines().filter(|line| line.contains(path)).map(str::to_owned).collect()
    }

    /// Ends the database so that it cannot be started again.
    pub(crate) fn end_postgres_for_good(&self) {
        std::fs::rename(self.path().join("pgdata/global"), self.path().join("pgdata/lost")).unwrap();
        self.signal_postgres("-QUIT");
    }

    /// Sends a signal to the main process of the database.
    pub(crate) fn signal_postgres(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.path().join("pgdata/postmaster.pid")).unwrap();
        program::signal(signal, pid.lines().next().unwrap());
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Drop for Folder {
    /// Waits for the last processes, as none may be left that writes into a folder that is being removed.
    fn drop(&mut self) {
        let give_up = Instant::now() + ENDED;
        while !self.is_free() && Instant::now() < give_up {
            std::thread::sleep(POLL);
        }
    }
}

/// Makes the folder that others are copies of, in one of the binary's own that the next run uses again.
async fn prepare() -> PathBuf {
    let data_dir = database::data_dir("prepared");
    let options = Options { data_dir: data_dir.clone(), durable: false, max_connections: 20 };
    let server = Server::start(options).await.unwrap();
    let mut connection = server.connect_options("postgres").connect().await.unwrap();
    // As it was left by the last run, whose migrations may have been others.
    connection.execute("DROP DATABASE inkbox").await.unwrap();
    connection.execute("CREATE DATABASE inkbox").await.unwrap();
    connection.close().await.unwrap();
    store::migrate(&server.connect_options("inkbox")).await.unwrap();
    server.stop().await.unwrap();
    data_dir
}

/// With owners and modes, which PostgreSQL looks at.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success());
}
