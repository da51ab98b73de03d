//! Limits of streams.

use inkbox_imessage::admission::Share;
use inkbox_imessage::proto::{ListConnectionsRequest, ListEventsRequest, WatchEventsRequest};

use super::page;
use crate::support::{Scene, TestApp, Watcher, assert_reason, eventually};

#[tokio::test]
async fn streams_are_limited_in_total_and_for_each_organization() {
    let app = TestApp::with(|settings| settings.admission.streams = 8).await;
    let (first, other) = (app.admin("org_a").await, app.admin("org_b").await);
    let _open = [Watcher::start(&first).await, Watcher::start(&first).await];
    let refused = Watcher::open(&first, WatchEventsRequest::default()).await.map(|_| ());
    let details = assert_reason(refused, "OVERLOADED");
    assert!(details.retry_info().is_some());
    let poll = ListEventsRequest { wait_seconds: Some(1), ..Default::default() };
    assert_reason(first.list_events(poll).await, "OVERLOADED");
    page(&first, ListEventsRequest::default()).await;
    let _of_other = Watcher::start(&other).await;
    assert_eq!(app.parts.admission.streams.used(), 3);
}

#[tokio::test]
async fn a_key_has_a_hundred_streams_and_another_key_of_the_organization_has_its_own() {
    let app = TestApp::with(|settings| settings.admission.share = Share::ALL).await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let opening = (0..100).map(|_| Watcher::start(&admin));
    let open = futures_util::future::join_all(opening).await;
    assert_reason(Watcher::open(&admin, WatchEventsRequest::default()).await.map(|_| ()), "OVERLOADED");
    let _of_agent = Watcher::start(&agent).await;
    drop(open);
    let streams = || app.parts.admission.streams.used();
    eventually("the places are free", async || (streams() == 1).then_some(())).await;
    Watcher::start(&admin).await;
}

#[tokio::test]
async fn streams_are_no_calls_in_progress() {
    let scene = Scene::start().await;
    let limited = TestApp::builder()
        .database(scene.app.options.clone())
        .settings(|settings| {
            settings.admission.calls = 2;
            settings.admission.share = Share::ALL;
        })
        .start()
        .await;
    let agent = limited.caller_with(&scene.agent);
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Watcher::start(&agent).await);
    }
    agent.list_connections(ListConnectionsRequest::default()).await.unwrap();
}
