//! Row locks that a test holds, to make concurrent statements of the service overlap at a given point.

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};
use uuid::Uuid;

use super::snapshot::numbers;
use super::{TestApp, eventually};

/// Begins a transaction with this statement, which takes locks. Returns its connection.
pub async fn holding(app: &TestApp, statement: &'static str, id: &str) -> PgConnection {
    let mut session = app.options.connect().await.unwrap();
    sqlx::query("BEGIN").execute(&mut session).await.unwrap();
    let id = Uuid::try_parse(id).unwrap();
    sqlx::query(statement).bind(id).execute(&mut session).await.unwrap();
    session
}

/// Runs statements that begin a transaction and lock a table against everyone. Returns the connection.
pub async fn locking(app: &TestApp, statements: &'static str) -> PgConnection {
    let mut session = app.options.connect().await.unwrap();
    sqlx::raw_sql(statements).execute(&mut session).await.unwrap();
    session
}

/// Commits the transaction, which releases its locks.
pub async fn commit(mut session: PgConnection) {
    sqlx::query("COMMIT").execute(&mut session).await.unwrap();
    session.close().await.unwrap();
}

/// The number of statements of the service that wait for a lock.
pub async fn waiting(app: &TestApp) -> i64 {
    let citus = "SELECT count(*) FROM pg_extension WHERE extname = 'citus'";
    let statement = if numbers(&app.pool, citus).await == [0] {
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'"
    } else {
        // On a distributed database the locks are on the workers.
        "SELECT sum(result::bigint)::bigint FROM run_command_on_all_nodes(
             $$SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'$$)"
    };
    numbers(&app.pool, statement).await[0]
}

/// Waits until this many statements wait for a lock.
pub async fn until_waiting(app: &TestApp, statements: i64) {
    eventually("the statements wait", async || (waiting(app).await == statements).then_some(())).await;
}
