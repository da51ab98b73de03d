//! The data folder of the private server: its owner, its locks, and the cluster in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc::O_NOFOLLOW;
use nix::unistd::{User, geteuid};
use tokio::time::{sleep, timeout};

use super::error::{Error, io_error};
use super::settings::{POLL_INTERVAL, ROLE, START_TIMEOUT};

/// Sends signal `$1` to the server that wrote the process id file `$2`.
const SIGNAL: &str = r#"read -r pid <"$2" && kill -s "$1" "$pid""#;
/// Maximum length of the data folder's path, in bytes: with `/socket/.s.PGSQL.5432`, it must fit in the 103 bytes of a
/// socket's path (macOS; Linux has 107).
const MAX_PATH_BYTES: usize = 80;
/// How long to wait for another process to release the folder: one that was just killed takes a moment to end.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Signals that stop a server, with the seconds to wait after each: fast shutdown, immediate shutdown (takes up to 5), kill.
const STOPS: [(&str, u64); 3] = [("INT", 15), ("QUIT", 10), ("KILL", 5)];

/// A data folder that this process has locked, and the account under which PostgreSQL uses it.
#[derive(Debug)]
pub(super) struct DataFolder {
    /// Absolute, since the server has another working folder.
    pub(super) data: PathBuf,
    pub(super) pgdata: PathBuf,
    pub(super) log: PathBuf,
    pub(super) account: User,
    /// Held for its lock. Children do not inherit it, since the standard library opens files with `O_CLOEXEC`.
    _lock: File,
}

impl DataFolder {
    pub(super) async fn open(data_dir: &Path) -> Result<Self, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(data_dir);
        made.map_err(io_error("create", data_dir))?;
        let data = fs::canonicalize(data_dir).map_err(io_error("open", data_dir))?;
        if data.to_str().is_none_or(|path| path.len() > MAX_PATH_BYTES) {
            let problem = format!("is not UTF-8 or longer than a socket allows ({MAX_PATH_BYTES} bytes)");
            return Err(Error::Unsuitable(format!("{} {problem}: set INKBOX_DATA_DIR", data.display())));
        }
        let found = fs::metadata(&data).map_err(io_error("read", &data))?;
        if geteuid().is_root() && found.uid() == 0 {
            // The server's account must be able to pass through the folder. Private files have their own mode.
            let passable = fs::Permissions::from_mode(found.mode() & 0o7777 | 0o011);
            fs::set_permissions(&data, passable).map_err(io_error("change the mode of", &data))?;
        }
        let (pgdata, log) = (data.join("pgdata"), data.join("postgres.log"));
        let account = account(&pgdata)?;
        let lock = open_for_lock(&data.join("lock"))?;
        let held_elsewhere = async {
            while lock.try_lock().is_err() {
                sleep(POLL_INTERVAL).await;
            }
        };
        match timeout(LOCK_TIMEOUT, held_elsewhere).await {
            Ok(()) => Ok(Self { data, pgdata, log, account, _lock: lock }),
            Err(_) => Err(Error::InUse(data)),
        }
    }

    /// Waits until no process has the log open, and returns it locked for the processes to come. Each round signals the
    /// server again, since a server that has just started may not handle signals yet.
    pub(super) async fn stop_processes(&self) -> Result<File, Error> {
        let log = open_for_lock(&self.log)?;
        let pid_file = self.pgdata.join("postmaster.pid");
        for (signal, limit) in STOPS {
            let stopped = async {
                while log.try_lock().is_err() {
                    // Fails if the server has just ended, or if the process is an `initdb`, which ends soon.
                    let _ = self.shell(SIGNAL).arg(signal).arg(&pid_file).status().await;
                    sleep(POLL_INTERVAL).await;
                }
            };
            if timeout(Duration::from_secs(limit), stopped).await.is_ok() {
                return Ok(log);
            }
            tracing::warn!(signal, "PostgreSQL did not stop in time");
        }
        Err(self.failed("postgres", "does not stop"))
    }

    /// Creates the cluster. `initdb` writes to a temporary folder, so that one that is killed does no harm.
    pub(super) async fn initialise(&self, programs: &Path, durable: bool, log: &File) -> Result<(), Error> {
        let unfinished = self.data.join("pgdata.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(io_error("remove", &unfinished))?;
        }
        self.private_dir(&unfinished)?;
        let args = ["-U", ROLE, "-E", "UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject"];
        let args = args.into_iter().chain((!durable).then_some("--no-sync")).map(str::to_owned).collect();
        let mut child = self.launch(&programs.join("initdb"), &unfinished, args, log)?;
        // `wait` closes the standard input of a child, which would stop this one.
        let _lifeline = child.stdin.take();
        match timeout(START_TIMEOUT, child.wait()).await {
            Ok(Ok(status)) if status.success() => {}
            _ => return Err(self.failed("initdb", "failed or did not end in time")),
        }
        fs::rename(&unfinished, &self.pgdata).map_err(io_error("rename (to pgdata)", &unfinished))
    }

    /// Creates a folder that only the server's account can enter, unless it exists.
    pub(super) fn private_dir(&self, path: &Path) -> Result<(), Error> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(io_error("create", path)(e)),
            _ => lchown(path, Some(self.account.uid.as_raw()), None).map_err(io_error("own", path)),
        }
    }
}

/// The account for PostgreSQL, which refuses to run as root. As root, it is the owner of the cluster, if there is one, or
/// else `postgres` or `nobody`.
fn account(pgdata: &Path) -> Result<User, Error> {
    let us = geteuid();
    let owner = fs::metadata(pgdata).map_or(us, |found| found.uid().into());
    let uid = if us.is_root() { owner } else { us };
    let named = |name| User::from_name(name).ok().flatten();
    let other = || named("postgres").or_else(|| named("nobody"));
    let found = if uid.is_root() { other() } else { User::from_uid(uid).ok().flatten() };
    let advice = "PostgreSQL needs an account that is not root and has a name: add a user `postgres`";
    found.ok_or_else(|| Error::Unsuitable(advice.to_owned()))
}

/// Opens a file for its lock. Does not follow links, so that root cannot be made to open another file.
fn open_for_lock(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(O_NOFOLLOW);
    options.open(path).map_err(io_error("open", path))
}
