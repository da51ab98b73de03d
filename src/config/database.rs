//! Settings of the database: its address, and the pool.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use clap::Args;
use sqlx::postgres::PgConnectOptions;

use super::parse::duration;
use crate::dev::embedded_postgres;
use crate::store::{DatabaseTarget, Pooler, ReplicaSettings};

/// `max_connections` of the embedded PostgreSQL, which serves one process and the commands of operators.
const EMBEDDED_CONNECTIONS: u16 = 100;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Minimum of the permitted lag of a replica: a few heartbeats.
const MIN_READ_LAG: Duration = Duration::from_secs(1);

/// Address of the database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// URL of the PostgreSQL database, such as `postgres://user:password@host/name?sslmode=verify-full` [default: a private
    /// PostgreSQL is started in the data folder].
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    pub database_url: Option<String>,
    /// Folder of the private PostgreSQL [default: /var/lib/inkbox-imessage as root, else
    /// ~/.local/share/inkbox-imessage].
    #[arg(long, env = "INKBOX_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Pooler in front of PostgreSQL: `transaction` for PgBouncer in transaction mode. `migrate` needs a direct connection to
    /// PostgreSQL.
    #[arg(long, env = "INKBOX_DATABASE_POOLER", default_value = "none", value_name = "KIND", global = true)]
    pub database_pooler: PoolerKind,
}

/// The values of `INKBOX_DATABASE_POOLER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum PoolerKind {
    /// Nothing that shares sessions of PostgreSQL between clients.
    #[default]
    None,
    /// PgBouncer or its like, in transaction mode (or session mode).
    Transaction,
}

impl From<PoolerKind> for Pooler {
    fn from(kind: PoolerKind) -> Self {
        match kind {
            PoolerKind::None => Self::None,
            PoolerKind::Transaction => Self::Transaction,
        }
    }
}

impl DatabaseArgs {
    /// Options for the configured database; `None` for the embedded one.
    ///
    /// # Errors
    /// An invalid URL, as one line without the URL, which may contain a password.
    pub fn external(&self) -> Result<Option<PgConnectOptions>, String> {
        self.database_url
            .as_deref()
            .filter(|url| !url.is_empty())
            .map(|url| connect_options("DATABASE_URL", url))
            .transpose()
    }

    /// A database behind the configured pooler.
    #[must_use]
    pub fn endpoint(&self, options: &PgConnectOptions) -> DatabaseTarget {
        DatabaseTarget::new(options.clone(), self.database_pooler.into())
    }

    /// Checks that migrations can be applied at the configured address.
    ///
    /// # Errors
    /// If a pooler is configured, as one line.
    pub fn can_migrate(&self) -> Result<(), String> {
        if self.database_pooler == PoolerKind::None {
            return Ok(());
        }
        Err("migrations need PostgreSQL itself: run `migrate` with its address in DATABASE_URL and without \
             INKBOX_DATABASE_POOLER"
            .to_owned())
    }

    /// Options of the embedded PostgreSQL.
    ///
    /// # Errors
    /// No folder is configured, and the account has no home folder for one.
    pub fn embedded(&self) -> Result<embedded_postgres::Options, String> {
        let configured = self.data_dir.clone().filter(|folder| !folder.as_os_str().is_empty());
        let data_dir = configured.or_else(embedded_postgres::default_data_dir).ok_or(
            "DATABASE_URL is not set, and without a home folder there is no place for a private PostgreSQL: set \
             DATABASE_URL, or INKBOX_DATA_DIR to an absolute path",
        )?;
        Ok(embedded_postgres::Options { data_dir, durable: true, max_connections: EMBEDDED_CONNECTIONS })
    }
}

/// Connection pools of `serve`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct PoolArgs {
    /// Maximum number of connections to the database, and of connections to a replica. A call that gets none within 2.5 s
    /// fails with `STORAGE_UNAVAILABLE`. Each process has up to three more connections for monitoring.
    #[arg(long, env = "INKBOX_DATABASE_SESSIONS", default_value = "16", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub database_sessions: u16,
    /// URL of a streaming replica for lists and gets: one server, without a pooler. Reads always include the writes of this
    /// process.
    #[arg(long, env = "INKBOX_DATABASE_READ_URL", hide_env_values = true, value_name = "URL")]
    pub database_read_url: Option<String>,
    /// Maximum age of data that is read from the replica, for writes of other processes; at least 1s.
    #[arg(long, env = "INKBOX_DATABASE_READ_LAG", default_value = "5s", value_name = "TIME", value_parser = duration)]
    pub database_read_lag: Duration,
}

impl PoolArgs {
    /// The configured replica.
    ///
    /// # Errors
    /// An invalid URL or a lag below the minimum, as one line.
    pub fn standby(&self) -> Result<Option<ReplicaSettings>, String> {
        let Some(url) = self.database_read_url.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        if self.database_read_lag < MIN_READ_LAG {
            return Err("INKBOX_DATABASE_READ_LAG must be at least 1s".to_owned());
        }
        let options = connect_options("INKBOX_DATABASE_READ_URL", url)?;
        Ok(Some(ReplicaSettings { options, longest_lag: self.database_read_lag }))
    }
}

fn connect_options(setting: &str, url: &str) -> Result<PgConnectOptions, String> {
    // sqlx accepts any scheme, and the service would wait for such a database for ever.
    if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("{setting} does not begin with {}", SCHEMES[0]));
    }
    PgConnectOptions::from_str(url).map_err(|error| format!("{setting}: {error}"))
}
