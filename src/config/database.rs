//! Where the database is, and how it is used.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use clap::Args;
use sqlx::postgres::PgConnectOptions;

use super::duration;
use crate::dev::embedded_postgres;
use crate::store::{DatabaseTarget, Pooler, ReplicaSettings};

/// Most connections to the embedded PostgreSQL, which serves this one process and the command line beside it.
const EMBEDDED_CONNECTIONS: u16 = 100;

/// How the URL of a PostgreSQL database begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The least that a standby may lag: a few rounds of looking how far it is.
const SHORTEST_LAG: Duration = Duration::from_secs(1);

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// URL of the PostgreSQL database, such as `postgres://user:password@host/name?sslmode=verify-full`. Absent: a
    /// private PostgreSQL is started in the data folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    pub database_url: Option<String>,
    /// Folder of the private PostgreSQL [default: /var/lib/inkbox-imessage as root, else
    /// ~/.local/share/inkbox-imessage].
    #[arg(long, env = "INKBOX_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// What stands between the service and PostgreSQL: `transaction` for PgBouncer in transaction mode. `migrate` needs
    /// the address of PostgreSQL itself.
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
    /// How to connect to the database that is configured; `None` for the embedded one.
    ///
    /// # Errors
    /// A URL that cannot be read, as one line without the URL, which may hold a password.
    pub fn external(&self) -> Result<Option<PgConnectOptions>, String> {
        self.database_url
            .as_deref()
            .filter(|url| !url.is_empty())
            .map(|url| connect_options("DATABASE_URL", url))
            .transpose()
    }

    /// A database, with what stands before it.
    #[must_use]
    pub fn endpoint(&self, options: &PgConnectOptions) -> DatabaseTarget {
        DatabaseTarget::new(options.clone(), self.database_pooler.into())
    }

    /// Whether migrations can be applied at the address that is configured.
    ///
    /// # Errors
    /// A pooler in between, as one line.
    pub fn can_migrate(&self) -> Result<(), String> {
        if self.database_pooler == PoolerKind::None {
            return Ok(());
        }
        Err("migrations need PostgreSQL itself: run `migrate` with its address in DATABASE_URL and without \
             INKBOX_DATABASE_POOLER"
            .to_owned())
    }

    /// What the embedded PostgreSQL is to be like.
    #[must_use]
    pub fn embedded(&self) -> embedded_postgres::Options {
        embedded_postgres::Options {
            data_dir: self.data_dir.clone().unwrap_or_else(embedded_postgres::default_data_dir),
            durable: true,
            max_connections: EMBEDDED_CONNECTIONS,
        }
    }
}

/// How `serve` reads and writes.
#[derive(Debug, Clone, Args)]
pub struct PoolArgs {
    /// Most connections to the database, and as many to a standby; a call that gets none within 2.5 s is answered
    /// with `STORAGE_UNAVAILABLE`. Each process has up to three more, for watching.
    #[arg(long, env = "INKBOX_DATABASE_SESSIONS", default_value = "16", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub database_sessions: u16,
    /// URL of a streaming standby for lists and gets: one server, without a pooler before it. What was written through
    /// this process is always shown.
    #[arg(long, env = "INKBOX_DATABASE_READ_URL", hide_env_values = true, value_name = "URL")]
    pub database_read_url: Option<String>,
    /// How old what the standby shows may be (what was written through other processes); from 1s.
    #[arg(long, env = "INKBOX_DATABASE_READ_LAG", default_value = "5s", value_name = "TIME", value_parser = duration)]
    pub database_read_lag: Duration,
}

impl PoolArgs {
    /// The standby that is configured.
    ///
    /// # Errors
    /// A URL that cannot be read, or a lag that nothing can keep, as one line.
    pub fn standby(&self) -> Result<Option<ReplicaSettings>, String> {
        let Some(url) = self.database_read_url.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        if self.database_read_lag < SHORTEST_LAG {
            return Err("INKBOX_DATABASE_READ_LAG must be at least 1s".to_owned());
        }
        let options = connect_options("INKBOX_DATABASE_READ_URL", url)?;
        Ok(Some(ReplicaSettings { options, longest_lag: self.database_read_lag }))
    }
}

fn connect_options(setting: &str, url: &str) -> Result<PgConnectOptions, String> {
    // sqlx takes any scheme, and would look for PostgreSQL there for ever.
    if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("{setting} does not begin with {}", SCHEMES[0]));
    }
    PgConnectOptions::from_str(url).map_err(|error| format!("{setting}: {error}"))
}
