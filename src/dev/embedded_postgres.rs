//! A private PostgreSQL server for development, the command line and the test suite.
//!
//! The machine's own programs run on a data folder (`lock`, `postgres.log`, `pgdata`, `socket`) that survives
//! restarts, reachable through a unix socket that only its account and root can get at. Two file locks carry
//! the guarantees: `lock` is held by the process of a [`Server`], so that a folder has one owner, and
//! `postgres.log` through the descriptor that every database process inherits as its output, so that its lock
//! is free exactly when the last of them is gone. No process id has to be believed for that.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::libc::O_NOFOLLOW;
use nix::unistd::{User, geteuid};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

/// The server's superuser.
const ROLE: &str = "inkbox";
/// Part of the socket's file name only: nothing listens on TCP.
const PORT: u16 = 5432;
/// Room for `/socket/.s.PGSQL.5432` within the 103 bytes of a socket's path (macOS; Linux has 107).
const DATA_DIR_LIMIT: usize = 80;
/// How often a condition is looked at again while waiting for it.
const POLL: Duration = Duration::from_millis(50);
/// Bound for the end of another process that owns the folder: one that was just killed takes a moment.
const LOCK_LIMIT: Duration = Duration::from_secs(1);
/// Bound for `initdb`, and for recovery after a crash until the first connection is accepted.
const START_LIMIT: Duration = Duration::from_mins(1);
/// Ways to stop a server, with their bounds in seconds: fast, immediate (takes up to 5), and from outside.
const STOPS: [(&str, u64); 3] = [("INT", 15), ("QUIT", 10), ("KILL", 5)];
/// Bound for one attempt to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How much of the end of the log an error shows.
const LOG_TAIL_LINES: usize = 8;

const SHELL: &str = "/bin/sh";
/// Runs `"$@"` until it ends or the pipe on standard input closes, which happens however this process dies. A
/// process of its own reads the pipe, so that the end of either side is noticed. Shells start background
/// commands with INT ignored: TERM ends a server too young to have handlers, INT makes other shutdowns fast.
const SUPERVISE: &str = r#"exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r line <&3; kill -TERM "$server"; kill -INT "$server"; } >/dev/null 2>&1 &
watcher=$!
wait "$server"; status=$?
kill "$watcher" 2>/dev/null
exit "$status""#;
/// Sends signal `$1` to the server that wrote the process id file `$2`.
const SIGNAL: &str = r#"read -r pid <"$2" && kill -s "$1" "$pid""#;
/// Names the first folder of `"$@"` that may not be entered. If all may, lists where the programs are, with
/// their versions: on the path, in the default place, in the systems' package folders from the newest.
const SURVEY: &str = r#"for dir do [ -x "$dir" ] || { printf 'barred %s\n' "$dir"; exit; }; done
for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin; do
    packaged=$dir:$packaged
done
IFS=: && set -f
for dir in $PATH:$(pg_config --bindir):$packaged; do
    [ -x "$dir/initdb" ] && printf '%s %s\n' "$dir" "$("$dir/postgres" --version)"
done"#;

/// Why the private server cannot be had. Each text is meant for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder with both `postgres` and `initdb` was found.
    #[error("PostgreSQL is not installed: run `make setup`, or install your system's PostgreSQL server")]
    NotInstalled,
    /// Another live process, or another [`Server`] of this one, owns the data folder.
    #[error("{0} is in use by another process: stop that one, or set INKBOX_DATA_DIR to another folder")]
    InUse(PathBuf),
    /// The folder's place, owner or version, or the account, does not suit; the text says what to do.
    #[error("{0}")]
    Unsuitable(String),
    /// A program did not do what it should; the text ends with the last lines of its log.
    #[error("{0}")]
    Failed(String),
    /// An operation (0) on a file (1) failed.
    #[error("cannot {0} {1}: {2}")]
    Io(&'static str, PathBuf, #[source] io::Error),
    /// The server runs but refuses what is asked of it.
    #[error("the private PostgreSQL server: {0}")]
    Sql(#[from] sqlx::Error),
}

/// How to run the private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that keeps everything; made when missing.
    pub data_dir: PathBuf,
    /// `false` gives up safety against a crash of the machine for speed: for tests only.
    pub durable: bool,
    /// How many connections the server accepts at once.
    pub max_connections: u16,
}

/// A running server that ends with this process, however that dies. Dropping it begins the shutdown.
#[derive(Debug)]
pub struct Server {
    place: Place,
    child: Child,
    /// Only ever closed, which tells the supervising shell to stop the server.
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Starts the server on a folder and returns once it accepts connections and has the database `inkbox`.
    /// What an earlier process left behind, a server or a half-made cluster, is stopped and cleared first.
    /// Can fail with every kind of [`Error`]; what it had started then ends again.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let place = Place::open(&options.data_dir).await?;
        let programs = place.find_programs().await?;
        let log = place.stop_processes().await?;
        log.set_len(0).map_err(io_error("empty", &place.log))?;
        if !place.pgdata.join("PG_VERSION").exists() {
            place.initialise(&programs, options.durable, &log).await?;
        }
        let socket = place.data.join("socket");
        place.private_dir(&socket)?;
        let program = programs.join("postgres");
        let mut child = place.launch(&program, &place.pgdata, settings(&options, &socket), &log)?;
        let lifeline = child.stdin.take();
        let mut server = Self { place, child, lifeline };
        match timeout(START_LIMIT, server.accepts_connections()).await {
            Ok(ready) => ready?,
            Err(_) => return Err(server.place.failed("postgres", "does not accept connections in time")),
        }
        tracing::info!(folder = %server.place.data.display(), "private PostgreSQL server is ready");
        Ok(server)
    }

    /// How to reach a database of this server, as its superuser.
    #[must_use]
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        connect_options(&self.place.data, database)
    }

    /// Returns when the server has ended without having been asked to, and logs that. It is not restarted.
    pub async fn wait_exit(&mut self) {
        let status = self.child.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string());
        tracing::error!(%status, log = %self.place.log.display(), "private PostgreSQL server has ended");
    }

    /// Ends all sessions, stops the server and waits for that; after 15 seconds without its last checkpoint,
    /// which the next start makes up for. [`Error::Failed`] when a process of the server remains even so.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.lifeline.take());
        self.place.stop_processes().await?;
        // The shell has ended too, as it held the log; this collects it.
        self.child.wait().await.map(drop).map_err(io_error("wait for", Path::new(SHELL)))
    }

    /// Waits, without a bound, until a connection is accepted, and makes the database when it is missing.
    async fn accepts_connections(&mut self) -> Result<(), Error> {
        let options = connect_options(&self.place.data, "postgres");
        let mut connection = loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.place.failed("postgres", &format!("ended early ({status})")));
            }
            match timeout(CONNECT_LIMIT, PgConnection::connect_with(&options)).await {
                Ok(Ok(connection)) => break connection,
                // 57P03: still starting or recovering. Any other refusal does not go away by waiting.
                Ok(Err(sqlx::Error::Database(e))) if e.code().as_deref() != Some("57P03") => {
                    return Err(sqlx::Error::Database(e).into());
                }
                Ok(Err(_)) | Err(_) => sleep(POLL).await,
            }
        };
        let exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'inkbox')";
        if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut connection).await? {
            sqlx::query("CREATE DATABASE inkbox").execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }
}

/// Where data is kept when nothing else is asked for: `/var/lib/inkbox-imessage` for root, else
/// `inkbox-imessage` in `$XDG_DATA_HOME` or `~/.local/share`.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    if geteuid().is_root() {
        return PathBuf::from("/var/lib/inkbox-imessage");
    }
    let xdg = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::home_dir().unwrap_or_default().join(".local/share");
    xdg.unwrap_or_else(home).join("inkbox-imessage")
}

/// For the command line: how to reach a server that is already running on this folder, if one is and answers.
pub async fn running(data_dir: &Path, database: &str) -> Option<PgConnectOptions> {
    let data = fs::canonicalize(data_dir).ok()?;
    let options = connect_options(&data, "postgres");
    let connection = timeout(CONNECT_LIMIT, PgConnection::connect_with(&options)).await.ok()?.ok()?;
    connection.close().await.ok()?;
    Some(connect_options(&data, database))
}

fn connect_options(data: &Path, database: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().socket(data.join("socket")).port(PORT);
    // Nobody else sees what goes through a unix socket.
    options.username(ROLE).database(database).ssl_mode(PgSslMode::Disable)
}

/// The server's settings, on its command line so that they follow this program and not the folder.
fn settings(options: &Options, socket: &Path) -> Vec<String> {
    // A list of quoted names, as a folder's may contain commas.
    let socket = socket.display().to_string().replace('"', "\"\"");
    let mut settings = vec![
        format!("--unix_socket_directories=\"{socket}\""),
        format!("--port={PORT}"),
        format!("--max_connections={}", options.max_connections),
    ];
    settings.extend(["--listen_addresses=", "--timezone=UTC", "--log_timezone=UTC"].map(str::to_owned));
    // A collector would take the log, and with it the lock on the log, away from the other processes.
    settings.extend(["--logging_collector=off", "--unix_socket_permissions=0700"].map(str::to_owned));
    let fast = ["--fsync=off", "--synchronous_commit=off", "--full_page_writes=off"].map(str::to_owned);
    settings.extend(fast.into_iter().filter(|_| !options.durable));
    settings
}

/// A data folder that this process has taken, and the account that PostgreSQL uses it under.
#[derive(Debug)]
struct Place {
    /// Absolute, as the server works elsewhere.
    data: PathBuf,
    pgdata: PathBuf,
    log: PathBuf,
    account: User,
    /// Open for its lock. Children do not inherit it, as the standard library opens with `O_CLOEXEC`.
    _lock: File,
}

impl Place {
    async fn open(data_dir: &Path) -> Result<Self, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(data_dir);
        made.map_err(io_error("create", data_dir))?;
        let data = fs::canonicalize(data_dir).map_err(io_error("open", data_dir))?;
        if data.to_str().is_none_or(|path| path.len() > DATA_DIR_LIMIT) {
            let problem = format!("is not UTF-8 or longer than a socket allows ({DATA_DIR_LIMIT} bytes)");
            return Err(Error::Unsuitable(format!("{} {problem}: set INKBOX_DATA_DIR", data.display())));
        }
        let found = fs::metadata(&data).map_err(io_error("read", &data))?;
        if geteuid().is_root() && found.uid() == 0 {
            // What is private is so by its own mode; the server's account has to pass through to it.
            let passable = fs::Permissions::from_mode(found.mode() & 0o7777 | 0o011);
            fs::set_permissions(&data, passable).map_err(io_error("change the mode of", &data))?;
        }
        let (pgdata, log) = (data.join("pgdata"), data.join("postgres.log"));
        let account = account(&pgdata)?;
        let lock = open_for_lock(&data.join("lock"))?;
        let held_elsewhere = async {
            while lock.try_lock().is_err() {
                sleep(POLL).await;
            }
        };
        match timeout(LOCK_LIMIT, held_elsewhere).await {
            Ok(()) => Ok(Self { data, pgdata, log, account, _lock: lock }),
            Err(_) => Err(Error::InUse(data)),
        }
    }

    /// Waits until no process has the log open and returns it, locked for those that will. Each round tells
    /// the server to stop: nobody else may be there to do so, and one that just began does not listen yet.
    async fn stop_processes(&self) -> Result<File, Error> {
        let log = open_for_lock(&self.log)?;
        let pid_file = self.pgdata.join("postmaster.pid");
        for (signal, limit) in STOPS {
            let stopped = async {
                while log.try_lock().is_err() {
                    // Fails when the server has just gone, or is an `initdb`, which soon ends by itself.
                    let _ = self.shell(SIGNAL).arg(signal).arg(&pid_file).status().await;
                    sleep(POLL).await;
                }
            };
            if timeout(Duration::from_secs(limit), stopped).await.is_ok() {
                return Ok(log);
            }
            tracing::warn!(signal, "PostgreSQL did not stop in time");
        }
        Err(self.failed("postgres", "does not stop"))
    }

    /// Makes the cluster. `initdb` works in a folder beside it, so that one killed half-way does no harm.
    async fn initialise(&self, programs: &Path, durable: bool, log: &File) -> Result<(), Error> {
        let unfinished = self.data.join("pgdata.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(io_error("remove", &unfinished))?;
        }
        self.private_dir(&unfinished)?;
        let args = ["-U", ROLE, "-E", "UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject"];
        let args = args.into_iter().chain((!durable).then_some("--no-sync")).map(str::to_owned).collect();
        let mut child = self.launch(&programs.join("initdb"), &unfinished, args, log)?;
        // Waiting for a child closes its standard input, which would stop this one.
        let _lifeline = child.stdin.take();
        match timeout(START_LIMIT, child.wait()).await {
            Ok(Ok(status)) if status.success() => {}
            _ => return Err(self.failed("initdb", "failed or did not end in time")),
        }
        fs::rename(&unfinished, &self.pgdata).map_err(io_error("rename (to pgdata)", &unfinished))
    }

    /// Makes sure of a folder that only the server's account can enter.
    fn private_dir(&self, path: &Path) -> Result<(), Error> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(io_error("create", path)(e)),
            _ => lchown(path, Some(self.account.uid.as_raw()), None).map_err(io_error("own", path)),
        }
    }

    /// The folder of the best programs that fit the cluster, if there is one. Looked for under the server's
    /// account, which also has to be able to reach the data: the file system is the judge.
    async fn find_programs(&self) -> Result<PathBuf, Error> {
        // From the root on, so that the folder that bars the way is named and not one behind it.
        let folders = self.data.ancestors().collect::<Vec<_>>().into_iter().rev();
        let found = self.shell(SURVEY).args(folders).stdout(Stdio::piped()).output().await;
        let found = found.map_err(io_error("run", Path::new(SHELL)))?.stdout;
        let cluster = fs::read_to_string(self.pgdata.join("PG_VERSION")).unwrap_or_default();
        let (cluster, name, pgdata) = (cluster.trim(), &self.account.name, self.pgdata.display());
        let mut problem = Error::NotInstalled;
        for line in String::from_utf8_lossy(&found).lines() {
            if let Some(dir) = line.strip_prefix("barred ") {
                let problem = format!("PostgreSQL runs as user {name}, who may not enter {dir}");
                return Err(Error::Unsuitable(format!("{problem}: allow it, or set INKBOX_DATA_DIR")));
            }
            // As in `/usr/bin postgres (PostgreSQL) 15.18 (Debian …)`.
            let Some((folder, version)) = line.split_once(" postgres (PostgreSQL) ") else { continue };
            let version = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            if cluster.is_empty() || cluster == version {
                return Ok(folder.into());
            }
            let text =
                format!("{pgdata} needs PostgreSQL {cluster}, not {version}: install it, or move that away");
            problem = Error::Unsuitable(text);
        }
        Err(problem)
    }

    /// Starts a program on a folder. It ends with this process at the latest, and writes to the log.
    fn launch(&self, program: &Path, folder: &Path, args: Vec<String>, log: &File) -> Result<Child, Error> {
        let output = || log.try_clone().map_err(io_error("share", &self.log));
        let mut command = self.shell(SUPERVISE);
        command.arg(program).arg("-D").arg(folder).args(args);
        // Ctrl-C is for the service, which stops the server after its own drain.
        command.stdin(Stdio::piped()).stdout(output()?).stderr(output()?).process_group(0);
        command.spawn().map_err(io_error("run", Path::new(SHELL)))
    }

    /// A shell command under the server's account. It gets no environment but the path: ours may hold
    /// secrets, and `PG…` variables would change what programs do. Root's other groups are dropped by `std`.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new(SHELL);
        command.args(["-c", script, "sh"]).current_dir("/").env_clear().env("LC_ALL", "C");
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if geteuid().is_root() {
            command.uid(self.account.uid.as_raw()).gid(self.account.gid.as_raw());
        }
        command
    }

    /// An error of a program, with the end of the log, which is short as long as programs are starting.
    fn failed(&self, program: &str, outcome: &str) -> Error {
        let log =
            fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        Error::Failed(format!("{program} {outcome}; {} ends with:\n{tail}", self.log.display()))
    }
}

/// The account for PostgreSQL, which refuses to be root: then the owner of the cluster, if there is one, so
/// that it stays the same, else `postgres` or `nobody`.
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

/// Opens a file for its lock. Not through a link, which could lead root anywhere.
fn open_for_lock(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(O_NOFOLLOW);
    options.open(path).map_err(io_error("open", path))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io(action, path.to_owned(), source)
}
