//! The schema: bringing it up to date, and refusing one that is older than this program.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, query, raw_sql};
use tokio::time::{Instant, sleep, timeout};

use super::distribution::{has_citus, statements};
use super::failure::{breaks_connection, sqlstate};
use super::link::{DatabaseTarget, DbConnection};

/// All migrations, in order, as they were at compile time. Locking is ours (see [`migrate`]); a schema that a newer
/// program has moved on is fine, since migrations expand first and contract later.
fn migrations() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

/// sqlx's list of what was applied.
const LIST: &str = "_sqlx_migrations";
/// Unchecked: no migration makes that table.
const APPLIED: &str = "SELECT version FROM _sqlx_migrations";
/// How long a look at the schema may take, connection included. A server that is gone without a word would be waited
/// for for ever.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// The advisory lock that replicas starting together compete for. Any number will do that nothing else uses.
const LOCK: i64 = 0x696e_6b62_6f78;
/// What a session that migrates is told; also what shows that nothing stands in between.
const QUIET: (&str, &str) = ("client_min_messages", "warning");
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
    /// What answers is a pooler that was not told of: it loses what a session was told, or refuses it.
    #[error(
        "a pooler answers in PostgreSQL's place: set INKBOX_DATABASE_POOLER=transaction \
         (`migrate` needs the address of PostgreSQL itself)"
    )]
    Pooler,
    /// Another process held the migration lock all the time.
    #[error("another process has been migrating for {} s", LOCK_LIMIT.as_secs())]
    Locked,
    /// The schema is older than this program needs.
    #[error(
        "the database schema is at {found}, without migration {needed}, which this program needs: run `inkbox-imessage migrate`"
    )]
    Old {
        /// Newest migration applied; 0 for none.
        found: i64,
        /// Newest migration of this program that was not.
        needed: i64,
    },
}

/// Whether the server is one that a moment of waiting can help with. Others are wrong in a way that stays.
fn is_transient(error: &sqlx::Error) -> bool {
    !matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some(sqlstate::PROTOCOL_VIOLATION))
}

/// A failure to connect. PgBouncer does not know the settings that a session starts with, and says so.
fn not_connected(error: sqlx::Error) -> SchemaError {
    if is_transient(&error) { SchemaError::Database(error) } else { SchemaError::Pooler }
}

/// Applies the migrations that are missing, once, however many processes ask at the same time.
///
/// On PostgreSQL itself, not through a pooler: the lock belongs to the session, and each migration says what it needs.
///
/// # Errors
/// See [`SchemaError`].
pub async fn migrate(options: &PgConnectOptions) -> Result<(), SchemaError> {
    let mut connection = alone(options).await?;
    if has_citus(&mut connection).await? {
        apply_by_statement(&mut connection).await?;
    }
    // Also after that: it compares what was applied with what we have.
    let done = migrations().run_direct(None, &mut connection, false).await;
    connection.close().await?;
    done.map_err(|error| match error {
        // The server went away: what was under way is rolled back, and can be begun again.
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if breaks_connection(&error) =>
        {
            SchemaError::Database(error)
        }
        other => SchemaError::Migration(other),
    })
}

/// Applies the migrations that are missing, each in a transaction of its own, but statement by statement.
///
/// # Errors
/// See [`SchemaError`].
pub async fn apply_by_statement(connection: &mut PgConnection) -> Result<(), SchemaError> {
    connection.ensure_migrations_table(LIST).await?;
    let applied = connection.list_applied_migrations(LIST).await?;
    for migration in migrations().iter() {
        if applied.iter().any(|it| it.version == migration.version) {
            continue;
        }
        let mut transaction = connection.begin().await?;
        for statement in statements(migration.sql.as_str()) {
            raw_sql(AssertSqlSafe(statement.to_owned()))
                .execute(&mut *transaction)
                .await
                .map_err(|error| MigrateError::ExecuteMigration(error, migration.version))?;
        }
        transaction.skip(LIST, migration).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// A session on PostgreSQL itself that nobody else changes the schema beside.
pub(super) async fn alone(options: &PgConnectOptions) -> Result<PgConnection, SchemaError> {
    // A connection of its own: the lock belongs to the session, and closing it lets go in every case.
    // Without the notice, at every start, that the list of migrations is there already.
    let quiet = options.clone().options([QUIET]);
    let opening = timeout(LOOK_LIMIT, quiet.connect());
    let mut connection = opening.await.map_err(|_| no_answer())?.map_err(not_connected)?;
    let said = raw_sql("SHOW client_min_messages").fetch_one(&mut connection).await?;
    if said.try_get::<&str, _>(0)? != QUIET.1 {
        return Err(SchemaError::Pooler);
    }
    lock(&mut connection).await?;
    Ok(connection)
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

fn no_answer() -> SchemaError {
    SchemaError::Database(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
}

/// Whether the schema has every migration that this program knows.
///
/// # Errors
/// `Old` when it has not; `Pooler` when nothing was said of one that is there.
pub async fn schema_is_current(endpoint: impl Into<DatabaseTarget>) -> Result<(), SchemaError> {
    let endpoint = endpoint.into();
    let applied = timeout(LOOK_LIMIT, applied(&endpoint)).await.map_err(|_| no_answer())??;
    // Each one, not the newest alone: one with a lower number may have been released later.
    let missing =
        migrations().iter().map(|migration| migration.version).filter(|it| !applied.contains(it)).max();
    let found = applied.iter().copied().max().unwrap_or(0);
    missing.map_or(Ok(()), |needed| Err(SchemaError::Old { found, needed }))
}

async fn applied(endpoint: &DatabaseTarget) -> Result<Vec<i64>, SchemaError> {
    let mut link = DbConnection::open(endpoint).await.map_err(not_connected)?;
    if !link.settings_intact().await? {
        return Err(SchemaError::Pooler);
    }
    let found = match sqlx::query_scalar(APPLIED).fetch_all(&mut link).await {
        Ok(found) => found,
        // The table of migrations is not there: an empty database.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(sqlstate::UNDEFINED_TABLE) => {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    link.close().await?;
    Ok(found)
}
