//! The schema: bringing it up to date, and refusing one that is older than this program.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, query};
use tokio::time::{Instant, sleep};

/// All migrations, in order, as they were at compile time. Locking is ours (see [`migrate`]); a schema that a newer
/// program has moved on is fine, since migrations expand first and contract later.
fn migrations() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

/// Where sqlx keeps the list of what was applied.
const APPLIED_TABLE: &str = "_sqlx_migrations";
/// The advisory lock that replicas starting together compete for. Any number will do that nothing else uses.
const LOCK: i64 = 0x696e_6b62_6f78;
/// How long to wait for another replica's migration.
const LOCK_LIMIT: Duration = Duration::from_mins(5);
/// How often to ask for the lock. Polled, because a session blocked in `pg_advisory_lock` holds a snapshot that
/// `CREATE INDEX CONCURRENTLY` waits for: a deadlock.
const LOCK_POLL: Duration = Duration::from_millis(250);

/// Why the schema is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database does not answer.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed, or differs from the one that was applied under its number.
    #[error("migration: {0}")]
    Migration(#[from] MigrateError),
    /// Another process held the migration lock all the time.
    #[error("another process has been migrating for {} s", LOCK_LIMIT.as_secs())]
    Locked,
    /// The schema is older than this program needs.
    #[error("the database schema is at {found}, this program needs {needed}: run `inkbox-imessage migrate`")]
    Old {
        /// Newest migration applied; 0 for none.
        found: i64,
        /// Newest migration of this program.
        needed: i64,
    },
}

/// Applies the migrations that are missing, once, however many processes ask at the same time.
///
/// # Errors
/// See [`SchemaError`].
pub async fn migrate(options: &PgConnectOptions) -> Result<(), SchemaError> {
    // A connection of its own: the lock belongs to the session, and closing it lets go in every case.
    // Without the notice, at every start, that the list of migrations is there already.
    let quiet = options.clone().options([("client_min_messages", "warning")]);
    let mut connection = quiet.connect().await?;
    lock(&mut connection).await?;
    let done = migrations().run_direct(None, &mut connection, false).await;
    connection.close().await?;
    Ok(done?)
}

async fn lock(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let give_up = Instant::now() + LOCK_LIMIT;
    loop {
        let row = query!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK)
            .fetch_one(&mut *connection)
            .await?;
        if row.locked {
            return Ok(());
        }
        if Instant::now() > give_up {
            return Err(SchemaError::Locked);
        }
        sleep(LOCK_POLL).await;
    }
}

/// Whether the schema has every migration that this program knows.
///
/// # Errors
/// `Old` when it has not.
pub async fn schema_is_current(options: &PgConnectOptions) -> Result<(), SchemaError> {
    let mut connection = options.connect().await?;
    let needed = migrations().iter().map(|migration| migration.version).max().unwrap_or(0);
    let applied = match connection.list_applied_migrations(APPLIED_TABLE).await {
        Ok(applied) => applied,
        // The table of migrations is not there: an empty database.
        Err(MigrateError::Execute(sqlx::Error::Database(error)))
            if error.code().as_deref() == Some("42P01") =>
        {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    connection.close().await?;
    if found < needed { Err(SchemaError::Old { found, needed }) } else { Ok(()) }
}
