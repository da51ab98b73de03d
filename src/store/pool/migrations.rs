//! Migrating the schema, and refusing one that is older than this program needs.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, query, raw_sql};
use tokio::time::{Instant, sleep, timeout};

use super::citus::{has_citus, statements};
use super::connection::{DatabaseTarget, DbConnection};
use super::error::{breaks_connection, sqlstate};
use super::settings::with_search_path;

/// All migrations, in order, as of compile time. [`migrate`] takes its own lock. A schema that a newer program has
/// migrated further is accepted, since migrations expand first and contract later.
fn migrations() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

/// The table in which sqlx lists the applied migrations.
const TABLE: &str = "_sqlx_migrations";
/// Not checked at compile time: no migration creates this table.
const APPLIED: &str = "SELECT version FROM _sqlx_migrations";
/// How long reading the schema version may take, connection included. Without a limit, a server that disappeared without
/// closing its connections would never be given up.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// The advisory lock for processes that start at the same time: any number that nothing else uses.
const LOCK: i64 = 0x696e_6b62_6f78;
/// A setting of the migrating session, which also detects a pooler: a pooler loses it.
const QUIET: (&str, &str) = ("client_min_messages", "warning");
/// How long to wait for the migration of another process.
const LOCK_LIMIT: Duration = Duration::from_mins(5);
/// How often to try the lock. Polled, because a session blocked in `pg_advisory_lock` holds a snapshot, for which `CREATE
/// INDEX CONCURRENTLY` waits: a deadlock.
const LOCK_POLL: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed, or differs from the applied one of the same number.
    #[error("migration: {0}")]
    Migration(#[from] MigrateError),
    /// A pooler that is not configured: it loses or refuses the settings of a session.
    #[error(
        "a pooler answers in PostgreSQL's place: set INKBOX_DATABASE_POOLER=transaction \
         (`migrate` needs the address of PostgreSQL itself)"
    )]
    Pooler,
    /// Another process holds the migration lock.
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

/// Whether waiting can help. PgBouncer refuses a start-up parameter that it does not know, which no waiting changes.
fn is_transient(error: &sqlx::Error) -> bool {
    !matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some(sqlstate::PROTOCOL_VIOLATION))
}

fn not_connected(error: sqlx::Error) -> SchemaError {
    if is_transient(&error) { SchemaError::Database(error) } else { SchemaError::Pooler }
}

/// Applies the missing migrations, once, however many processes call it at the same time.
///
/// Needs PostgreSQL itself and no pooler: the lock belongs to the session, and migrations change its settings.
///
/// # Errors
/// See [`SchemaError`].
pub async fn migrate(options: &PgConnectOptions) -> Result<(), SchemaError> {
    let mut connection = lock_schema(options).await?;
    if has_citus(&mut connection).await? {
        apply_by_statement(&mut connection).await?;
    }
    // Also on Citus: it compares the applied migrations with the compiled ones.
    let done = migrations().run_direct(None, &mut connection, false).await;
    connection.close().await?;
    done.map_err(|error| match error {
        // The server went away: its transaction is rolled back, and can be repeated.
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if breaks_connection(&error) =>
        {
            SchemaError::Database(error)
        }
        other => SchemaError::Migration(other),
    })
}

/// Applies the missing migrations, each in a separate transaction, statement by statement: see `citus::statements`.
///
/// # Errors
/// See [`SchemaError`].
pub async fn apply_by_statement(connection: &mut PgConnection) -> Result<(), SchemaError> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied = connection.list_applied_migrations(TABLE).await?;
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
        transaction.skip(TABLE, migration).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// A session on PostgreSQL itself that holds the migration lock until it is closed.
pub(super) async fn lock_schema(options: &PgConnectOptions) -> Result<PgConnection, SchemaError> {
    // A separate connection: the lock belongs to the session, and closing it releases the lock in every case.
    // `warning` suppresses the notice at every start that the table of migrations exists.
    let quiet = with_search_path(options.clone()).options([QUIET]);
    let opening = timeout(CHECK_LIMIT, quiet.connect());
    let mut connection = opening.await.map_err(|_| no_answer())?.map_err(not_connected)?;
    let row = raw_sql("SHOW client_min_messages").fetch_one(&mut connection).await?;
    if row.try_get::<&str, _>(0)? != QUIET.1 {
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
/// `Old` if not; `Pooler` if there is one that is not configured.
pub async fn schema_is_current(target: impl Into<DatabaseTarget>) -> Result<(), SchemaError> {
    let target = target.into();
    let applied = timeout(CHECK_LIMIT, applied(&target)).await.map_err(|_| no_answer())??;
    // Each one, and not only the newest: one with a lower number may have been released later.
    let missing =
        migrations().iter().map(|migration| migration.version).filter(|it| !applied.contains(it)).max();
    let found = applied.iter().copied().max().unwrap_or(0);
    missing.map_or(Ok(()), |needed| Err(SchemaError::Old { found, needed }))
}

async fn applied(target: &DatabaseTarget) -> Result<Vec<i64>, SchemaError> {
    let mut connection = DbConnection::open(target).await.map_err(not_connected)?;
    if !connection.settings_intact().await? {
        return Err(SchemaError::Pooler);
    }
    let found = match sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await {
        Ok(found) => found,
        // No table of migrations: an empty database.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(sqlstate::UNDEFINED_TABLE) => {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    connection.close().await?;
    Ok(found)
}
