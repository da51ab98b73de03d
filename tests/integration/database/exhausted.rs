//! More callers than sessions, and a server that has run out of something.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::admission::{Consumer, scope};
use inkbox_imessage::proto::ListConversationsRequest;
use inkbox_imessage::store::{Affects, Session, StoreError};
use sqlx::{AssertSqlSafe, raw_sql};
use tokio::time::{Instant, timeout};

use crate::support::cluster::Cluster;
use crate::support::{Human, TestApp, assert_reason, eventually};

/// In which every call is answered.
const ANSWERED: Duration = Duration::from_secs(3);
/// Longer than health takes to notice a database that is gone.
const WATCHED: Duration = Duration::from_secs(3);

/// Holds a session for an organization, of which each may have half of the sessions.
async fn hold(app: &TestApp, organization: usize) -> Result<Session, StoreError> {
    let organization = Consumer::Organization(format!("org-{organization}").into());
    scope(organization, None, app.parts.db.acquire(Affects::All)).await
}

#[tokio::test]
async fn a_call_that_gets_no_session_is_told_to_try_again_and_health_stays_serving() {
    let app = TestApp::with(|settings| settings.sessions = 2).await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let list = || agent.list_conversations(ListConversationsRequest::default());
    list().await.unwrap();

    let held = join_all((0..2).map(|n| hold(&app, n))).await;
    assert!(held.iter().all(Result::is_ok));
    let told = async |_: usize| {
        let began = Instant::now();
        assert_reason(list().await, "STORAGE_UNAVAILABLE");
        assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
    };
    let not_serving =
        eventually("health gives up", async || (app.health("").await != Some("SERVING")).then_some(()));
    let (_, watched) = tokio::join!(join_all((0..20).map(told)), timeout(WATCHED, not_serving));
    assert!(watched.is_err(), "a busy pool was taken for a dead database");

    drop(held);
    for answer in join_all((0..20).map(|_| list())).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn there_are_never_more_sessions_than_configured() {
    let cluster = Cluster::start(&[]).await;
    let app = cluster.app(|settings| settings.sessions = 3).await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let list = |_| agent.list_conversations(ListConversationsRequest::default());
    for answer in join_all((0..60).map(list)).await {
        answer.unwrap();
    }
    // Fast calls may have needed fewer: all of them at once, so that the count says something.
    let held = join_all((0..3).map(|n| hold(&app, n))).await;
    assert!(held.iter().all(Result::is_ok));
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'inkbox-imessage'";
    let sessions: i64 = sqlx::query_scalar(count).fetch_one(&mut cluster.connect().await).await.unwrap();
    // One that watches, and what the test itself makes rows with.
    assert!((4..=3 + 1 + 2).contains(&sessions), "{sessions}");
}

#[tokio::test]
async fn a_full_disk_or_a_broken_one_is_a_database_that_is_not_available_and_no_defect_of_ours() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    // disk_full, out_of_memory, io_error.
    for code in ["53100", "53200", "58030"] {
        let fails = format!(
            "CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
                 $$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{code}'; END$$;
             CREATE OR REPLACE TRIGGER fails BEFORE INSERT ON messages EXECUTE FUNCTION fails()"
        );
        raw_sql(AssertSqlSafe(fails)).execute(&app.pool).await.unwrap();
        let text = human.text(&thread.line, "is there room?");
        assert_reason(human.router.receive_message(text.clone()).await, "STORAGE_UNAVAILABLE");
        raw_sql("DROP TRIGGER fails ON messages").execute(&app.pool).await.unwrap();
        human.router.receive_message(text).await.unwrap();
    }
}
