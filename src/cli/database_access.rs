//! Access to the database for the duration of a command.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio_util::task::TaskTracker;

use super::error::CliError;
use crate::clock::{Clock, DatabaseClock, SystemClock};
use crate::config::{DatabaseArgs, LogArgs};
use crate::dev::embedded_postgres;
use crate::domain::Actor;
use crate::store::{self, Database, DatabaseTarget, DbConnection};

/// Settings of every command that works on the database.
#[derive(Debug, clap::Args)]
pub(super) struct OperatorArgs {
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// Name of the database in the embedded PostgreSQL.
pub(super) const EMBEDDED_DATABASE: &str = "inkbox";

/// The configured database. Without `DATABASE_URL`, it is the embedded PostgreSQL: that of a running service, or one that
/// is started for the command and stopped by [`Self::end`].
pub(super) struct DatabaseAccess {
    endpoint: DatabaseTarget,
    options: PgConnectOptions,
    started: Option<embedded_postgres::Server>,
}

impl DatabaseAccess {
    pub(super) async fn connect(args: &DatabaseArgs) -> Result<Self, CliError> {
        if let Some(options) = args.external().map_err(CliError::Usage)? {
            return Ok(Self { endpoint: args.endpoint(&options), options, started: None });
        }
        let embedded = args.embedded().map_err(CliError::Usage)?;
        if let Some(options) = embedded_postgres::running(&embedded.data_dir, EMBEDDED_DATABASE).await {
            return Ok(Self { endpoint: args.endpoint(&options), options, started: None });
        }
        let server = embedded_postgres::Server::start(embedded).await?;
        let options = server.connect_options(EMBEDDED_DATABASE);
        store::migrate(&options).await?;
        Ok(Self { endpoint: args.endpoint(&options), options, started: Some(server) })
    }

    /// Options for a direct connection to PostgreSQL.
    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Opens a pool of one connection, after a check of the schema. Changes are audited as the operator's.
    pub(super) async fn open(&self) -> Result<Database, CliError> {
        let db = Database::new(self.endpoint().await?, 1, TaskTracker::new());
        db.open();
        Ok(db.acting(operator()))
    }

    /// The address of the database, after a check that its schema is the one that this program needs.
    pub(super) async fn endpoint(&self) -> Result<DatabaseTarget, CliError> {
        store::schema_is_current(&self.endpoint).await?;
        Ok(self.endpoint.clone())
    }

    /// The clock for commands that judge the age of data: the machine's, or the database's where that differs.
    pub(super) async fn clock(&self) -> Result<Arc<dyn Clock>, CliError> {
        let clock = DatabaseClock::new(SystemClock);
        let mut connection = DbConnection::open(&self.endpoint).await.map_err(store::StoreError::from)?;
        let (_, now) = store::key_digests::epoch(&mut connection).await?;
        clock.compare(now);
        Ok(Arc::new(clock))
    }

    /// The address of the database, whatever its schema.
    pub(super) const fn unchecked_endpoint(&self) -> &DatabaseTarget {
        &self.endpoint
    }

    pub(super) async fn end(self) -> Result<(), CliError> {
        match self.started {
            Some(server) => Ok(server.stop().await?),
            None => Ok(()),
        }
    }
}

/// Who runs the command: the account on this machine, before `sudo` if that was used.
fn operator() -> Actor {
    let name = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|variable| std::env::var(variable).ok());
    Actor::Operator(name.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned()))
}
