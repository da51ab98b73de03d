//! Settings of the private server, and of connections to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Interval at which a condition is checked while waiting for it.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum duration of `initdb`, and of the recovery after a crash.
pub(super) const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Name of the superuser.
pub(super) const ROLE: &str = "inkbox";
/// Only a part of the socket's file name: the server does not listen on TCP.
const PORT: u16 = 5432;

/// Options of the private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of all its files; created if it does not exist.
    pub data_dir: PathBuf,
    /// `false` trades safety against a crash of the machine for speed: only for tests.
    pub durable: bool,
    /// Maximum number of connections.
    pub max_connections: u16,
}

pub(super) fn connect_options(data: &Path, database: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().socket(data.join("socket")).port(PORT);
    // Traffic on a Unix socket does not leave the machine.
    options.username(ROLE).database(database).ssl_mode(PgSslMode::Disable)
}

/// The server's settings. They are command line arguments, so that they depend on this program and not on the folder.
pub(super) fn settings(options: &Options, socket: &Path) -> Vec<String> {
    // The value is a list of quoted names. The quotes are needed for commas in the path.
    let socket = socket.display().to_string().replace('"', "\"\"");
    let mut settings = vec![
        format!("--unix_socket_directories=\"{socket}\""),
        format!("--port={PORT}"),
        format!("--max_connections={}", options.max_connections),
    ];
    settings.extend(["--listen_addresses=", "--timezone=UTC", "--log_timezone=UTC"].map(str::to_owned));
    // A collector would replace the log file of the other processes, and with it the lock on the file.
    settings.extend(["--logging_collector=off", "--unix_socket_permissions=0700"].map(str::to_owned));
    // Without the details of errors, which contain the values of rows: a text that is delivered twice violates a unique key.
    settings.push("--log_error_verbosity=terse".to_owned());
    let fast = ["--fsync=off", "--synchronous_commit=off", "--full_page_writes=off"].map(str::to_owned);
    settings.extend(fast.into_iter().filter(|_| !options.durable));
    settings
}
