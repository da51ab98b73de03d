//! Locks of a test's own, so that statements of the service meet where the test wants them to.

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};
use uuid::Uuid;

use super::snapshot::numbers;
use super::{TestApp, eventually};

/// A session that holds a lock from this statement on, until it is rolled back.
pub async fn holding(app: &TestApp, statement: &'static str, id: &str) -> PgConnection {
    let mut session = app.options.connect().await.unwrap();
    sqlx::query("BEGIN").execute(&mut session).await.unwrap();
    let id = Uuid::try_parse(id).unwrap();
    sqlx::query(statement).bind(id).execute(&mut session).await.unwrap();
    session
}

/// Lets go of what a session holds, and keeps what it did.
pub async fn commit(mut session: PgConnection) {
    sqlx::query("COMMIT").execute(&mut session).await.unwrap();
    session.close().await.unwrap();
}

/// How many of the service's statements wait for a lock.
pub async fn waiting(app: &TestApp) -> i64 {
    let citus = "SELECT count(*) FROM pg_extension WHERE extname = 'citus'";
    let statement = if numbers(&app.pool, citus).await == [0] {
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'"
    } else {
        // The locks are where the rows are.
        "SELECT sum(result::bigint)::bigint FROM run_command_on_all_nodes(
             $$SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'$$)"
    };
    numbers(&app.pool, statement).await[0]
}

/// Waits until so many do.
pub async fn until_waiting(app: &TestApp, statements: i64) {
    eventually("the statements wait", async || (waiting(app).await == statements).then_some(())).await;
}
