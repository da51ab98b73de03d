//! What is read at the moment of a scrape: keys, pool, sweeps, process.

use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::{ListConversationsRequest, WhoAmIRequest};
use inkbox_imessage::store::Affects;

use crate::support::metrics::Scrape;
use crate::support::{TestApp, eventually};

#[tokio::test]
async fn a_key_is_looked_up_once_and_remembered_then() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let lookups = async |result| {
        Scrape::of(app.metrics).await.value("inkbox_key_cache_lookups_total", &[("result", result)]).unwrap()
    };
    assert_eq!((lookups("miss").await, lookups("hit").await), (0.0, 0.0));
    for _ in 0..4 {
        admin.who_am_i(WhoAmIRequest {}).await.unwrap();
    }
    assert_eq!((lookups("miss").await, lookups("hit").await), (1.0, 3.0));
    assert_eq!(Scrape::of(app.metrics).await.value("inkbox_key_cache_entries", &[]), Some(1.0));
    // One that does not work is remembered for some seconds, and is no entry. What cannot be a key is not looked up.
    let unknown = format!("ink_{:043}", 1);
    for secret in [&unknown, &unknown, "ink_no_such_key"] {
        app.with_secret(secret).who_am_i(WhoAmIRequest {}).await.unwrap_err();
    }
    assert_eq!((lookups("miss").await, lookups("hit").await), (2.0, 4.0));
    assert_eq!(Scrape::of(app.metrics).await.value("inkbox_key_cache_entries", &[]), Some(1.0));
}

#[tokio::test]
async fn the_pool_shows_its_sessions_and_who_waits_for_one() {
    let app = TestApp::with(|settings| settings.sessions = 1).await;
    let admin = app.admin("org_a").await;
    admin.list_conversations(ListConversationsRequest::default()).await.unwrap();
    let sessions = async || {
        let scrape = Scrape::of(app.metrics).await;
        let of = |state| scrape.value("inkbox_database_sessions", &[("state", state)]).unwrap();
        (of("in_use"), of("idle"), scrape.value("inkbox_database_sessions_waiting", &[]).unwrap())
    };
    let idle = eventually("the session is back", async || {
        let now = sessions().await;
        (now.0 == 0.0).then_some(now)
    });
    assert_eq!(idle.await, (0.0, 1.0, 0.0));
    let scrape = Scrape::of(app.metrics).await;
    assert_eq!(scrape.value("inkbox_database_sessions_limit", &[]), Some(1.0));
    assert!(scrape.value("inkbox_database_sessions_opened_total", &[]).unwrap() >= 1.0);
    assert_eq!(scrape.value("inkbox_database_up", &[]), Some(1.0));
    assert_eq!(scrape.value("inkbox_grpc_requests_limit", &[]), Some(512.0));

    let held = app.parts.db.acquire(Affects::All).await.unwrap();
    assert_eq!(sessions().await, (1.0, 0.0, 0.0));
    let waiting =
        tokio::spawn(async move { admin.list_conversations(ListConversationsRequest::default()).await });
    eventually("the call waits", async || (sessions().await == (1.0, 0.0, 1.0)).then_some(())).await;
    drop(held);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn sweeps_are_counted_and_the_last_good_one_is_dated() {
    let app = TestApp::start().await;
    let done = eventually("the first sweep", async || {
        let scrape = Scrape::of(app.metrics).await;
        let done = scrape.value("inkbox_cleanup_runs_total", &[("outcome", "done")]).unwrap();
        (done > 0.0).then_some(scrape)
    });
    let done = done.await;
    for name in ["inkbox_cleanup_runs_total", "inkbox_sweeps_total"] {
        assert!(done.value(name, &[("outcome", "done")]).unwrap() > 0.0, "{name}");
        assert_eq!(done.value(name, &[("outcome", "failed")]), Some(0.0), "{name}");
    }
    for name in
        ["inkbox_cleanup_last_success_timestamp_seconds", "inkbox_sweep_last_success_timestamp_seconds"]
    {
        assert!(done.value(name, &[]).unwrap() > 0.0, "{name}");
    }
    cleanup::run_once(&app.parts, Retention::default()).await.unwrap();
}

#[tokio::test]
async fn the_process_tells_its_version_and_what_it_uses() {
    let app = TestApp::start().await;
    let scrape = Scrape::of(app.metrics).await;
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scrape.value("inkbox_build_info", &version), Some(1.0));
    for (name, least) in [
        ("process_cpu_seconds_total", 0.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 3.0),
        ("process_max_fds", 64.0),
        ("process_start_time_seconds", 0.0),
    ] {
        assert!(scrape.value(name, &[]).unwrap() > least, "{name}");
    }
}

#[tokio::test]
async fn a_service_that_never_had_a_database_says_so() {
    let options = crate::support::database::fresh().await.port(1);
    let app = TestApp::builder().database(options).launch().await;
    assert_eq!(Scrape::of(app.metrics).await.value("inkbox_database_up", &[]), Some(0.0));
}
