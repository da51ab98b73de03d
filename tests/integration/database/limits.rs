//! The server's own limits: what ends there when nobody is left to end it.

use inkbox_imessage::store::{Affects, Database, StoreError};
use sqlx::query_scalar;
use tokio_util::task::TaskTracker;

use crate::support::cluster::Cluster;
use crate::support::{TestApp, eventually};

/// Its settings, as a statement on its own and one in a transaction see them.
pub(crate) async fn limits(app: &TestApp) -> [String; 2] {
    const ALL: &str =
        "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
                              current_setting('idle_in_transaction_session_timeout'))";
    let mut session = app.parts.db.acquire(Affects::All).await.unwrap();
    let alone =
        session.run("query test", async |link| Ok(query_scalar(ALL).fetch_one(link).await?)).await.unwrap();
    let in_transaction = app.parts.db.transaction(Affects::All, "transaction test", |link| {
        Box::pin(async move { Ok(query_scalar(ALL).fetch_one(link).await?) })
    });
    [alone, in_transaction.await.unwrap()]
}

#[tokio::test]
async fn every_session_has_them() {
    let app = TestApp::start().await;
    assert_eq!(limits(&app).await, ["5s 2s 10s", "5s 2s 10s"]);
}

#[tokio::test]
async fn a_statement_that_was_given_up_ends_on_the_server_as_well() {
    let cluster = Cluster::start(&[]).await;
    let db = Database::new(&cluster.options(), 1, TaskTracker::new());
    db.open();
    let mut session = db.acquire(Affects::All).await.unwrap();
    let asleep =
        session.run("query test", async |link| Ok(sqlx::query("SELECT pg_sleep(600)").execute(link).await?));
    assert!(matches!(asleep.await, Err(StoreError::Unavailable(_))));
    let mut connection = cluster.connect().await;
    let count =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)'";
    assert_eq!(query_scalar::<_, i64>(count).fetch_one(&mut connection).await.unwrap(), 1);
    let pool = cluster.pool();
    eventually("the server ends it", async || {
        (query_scalar::<_, i64>(count).fetch_one(&pool).await.unwrap() == 0).then_some(())
    })
    .await;
    // The pool, which has one session, opens another.
    drop(session);
    let mut session = db.acquire(Affects::All).await.unwrap();
    session.run("query test", async |link| Ok(sqlx::query("SELECT 1").execute(link).await?)).await.unwrap();
}
