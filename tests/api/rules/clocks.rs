//! A replica whose machine has a wrong clock loses nothing, orders nothing wrongly, and deletes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::maintenance::cleanup::Retention;
use inkbox_imessage::maintenance::verify;

use crate::messages::{all_messages, send, texts};
use crate::support::metrics::Scrape;
use crate::support::{Human, TestApp, eventually};

/// A replica whose machine is ahead by this much, and which redacts bodies after thirty days.
async fn replica(database: Option<&TestApp>, ahead: TimeDelta) -> TestApp {
    let mut builder = TestApp::builder().follows_database().settings(|settings| {
        settings.retention =
            Retention { bodies: Some(TimeDelta::days(30)), released: None, events: None, audit: None };
    });
    if let Some(other) = database {
        builder = builder.database(other.options.clone());
    }
    builder.advanced(ahead).start().await
}

async fn database_time(app: &TestApp) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&app.pool).await.unwrap()
}

#[tokio::test]
async fn replicas_with_wrong_clocks_lose_nothing_and_keep_the_order() {
    let right = TestApp::start().await;
    let wrong = [TimeDelta::days(40), TimeDelta::hours(-2)];
    let replicas = [replica(Some(&right), wrong[0]).await, replica(Some(&right), wrong[1]).await];
    let identity = right.identity("org_a").await;
    let human = Human::new(&right, "+15551230001").await;
    let (thread, conversation_id) = human.converses(&identity, "1 hello").await;
    let mut expected = vec!["1 hello".to_owned()];
    for round in 0..3 {
        for (n, app) in replicas.iter().enumerate() {
            let (answer, question) = (format!("{round} {n} answer"), format!("{round} {n} question"));
            send(&app.agent(&identity).await, &conversation_id, &answer).await;
            let human = Human::new(app, "+15551230001").await;
            human.says(&thread, &question).await;
            expected.extend([answer, question]);
        }
    }
    expected.reverse();
    for app in replicas.iter().chain([&right]) {
        let messages = all_messages(&app.admin("org_a").await).await;
        assert_eq!(texts(&messages), expected, "in the order in which they were said");
        let now = database_time(app).await.timestamp();
        for message in messages {
            let created_at = message.created_at.unwrap().seconds;
            assert!((now - created_at).abs() < 60, "{created_at} is not {now}");
        }
    }
    let report = verify::verify(&right.options, database_time(&right).await).await.unwrap();
    assert!(report.violations.is_empty(), "{report:?}");
}

#[tokio::test]
async fn a_replica_whose_clock_is_far_off_skips_cleanup_and_says_how_far() {
    let app = replica(None, TimeDelta::days(40)).await;
    let scrape = eventually("a skipped run", async || {
        let scrape = Scrape::of(app.metrics).await;
        let skipped = scrape.value("inkbox_cleanup_runs_total", &[("outcome", "skipped")]).unwrap();
        (skipped > 0.0).then_some(scrape)
    });
    let scrape = scrape.await;
    assert_eq!(scrape.value("inkbox_cleanup_runs_total", &[("outcome", "done")]), Some(0.0));
    let skew = scrape.value("inkbox_clock_skew_seconds", &[]).unwrap();
    assert!((skew - 40.0 * 86_400.0).abs() < 5.0, "{skew}");
}

#[tokio::test]
async fn a_replica_whose_clock_is_a_little_off_cleans_up_by_the_time_of_the_database() {
    let app = TestApp::builder().follows_database().advanced(TimeDelta::seconds(20)).start().await;
    let scrape = eventually("a run", async || {
        let scrape = Scrape::of(app.metrics).await;
        let done = scrape.value("inkbox_cleanup_runs_total", &[("outcome", "done")]).unwrap();
        (done > 0.0).then_some(scrape)
    });
    scrape.await;
    let off = app.parts.clock.now() - database_time(&app).await;
    assert!(off.abs() < TimeDelta::seconds(2), "{off}");
}
