//! Why and how streams end.

use std::time::Duration;

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::*;
use tokio::time::Instant;
use tonic_types::StatusExt as _;

use super::texts;
use crate::support::{Human, Scene, TestApp, Watcher, assert_reason, eventually};

#[tokio::test]
async fn a_drain_ends_streams_and_long_polls_at_once() {
    let scene = Scene::start().await;
    let mut watcher = Watcher::start(&scene.agent).await;
    scene.human.says(&scene.thread, "read").await;
    let read = watcher.take(1).await;
    let poll =
        ListEventsRequest { after: read[0].cursor.clone(), wait_seconds: Some(30), ..Default::default() };
    let agent = scene.agent.clone();
    let polling = tokio::spawn(async move { agent.list_events(poll).await });
    let streams = || scene.app.parts.admission.streams.used();
    eventually("the call waits", async || (streams() == 2).then_some(())).await;
    let began = Instant::now();
    scene.app.stop.cancel();
    let (events, status) = watcher.end().await;
    assert!(events.is_empty());
    let details = assert_reason::<()>(Err(status), "STREAM_ENDED");
    assert!(details.retry_info().is_some());
    let page = polling.await.unwrap().unwrap();
    assert!(page.events.is_empty() && !page.cursor.is_empty());
    scene.app.until_stopped().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_drain_sends_what_was_committed_before_it_ends_a_stream() {
    let scene = Scene::start().await;
    let other = scene.app.replica().await;
    let mut watcher = Watcher::start(&other.caller_with(&scene.agent)).await;
    for n in 0..10 {
        scene.human.says(&scene.thread, &n.to_string()).await;
    }
    // This replica may not have looked yet.
    other.stop.cancel();
    let (events, status) = watcher.end().await;
    assert_eq!(events.len(), 10);
    assert_reason::<()>(Err(status), "STREAM_ENDED");
}

#[tokio::test]
async fn the_age_of_the_connection_ends_its_streams_and_the_next_one_resumes() {
    let app = TestApp::with(|settings| settings.connections.age = Some(Duration::from_secs(1))).await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let mut watcher = Watcher::start(&agent).await;
    human.says(&thread, "first").await;
    let (events, status) = watcher.end().await;
    assert_eq!(texts(&events), ["first"]);
    assert!(status.get_error_details().retry_info().is_some());
    assert_reason::<()>(Err(status), "STREAM_ENDED");
    human.says(&thread, "in between").await;
    let request = WatchEventsRequest { after: watcher.cursor, ..Default::default() };
    let mut resumed = Watcher::open(&agent, request).await.unwrap();
    assert_eq!(texts(&resumed.take(1).await), ["in between"]);
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams_within_a_second_on_every_replica_and_no_others() {
    let scene = Scene::start().await;
    let other = scene.app.replica().await;
    let key = CreateApiKeyRequest { agent_identity_id: scene.identity.id.clone(), ..Default::default() };
    let created = scene.admin.create_api_key(key).await.unwrap();
    let caller = |app: &TestApp| {
        let mut caller = app.caller_with(&scene.agent);
        caller.secret = Some(created.secret.clone());
        caller
    };
    let mut here = Watcher::start(&caller(&scene.app)).await;
    let mut there = Watcher::start(&caller(&other)).await;
    let mut of_other_key = Watcher::start(&scene.agent).await;
    let id = created.api_key.unwrap().id;
    let revoked = Instant::now();
    scene.admin.revoke_api_key(RevokeApiKeyRequest { api_key_id: id }).await.unwrap();
    for watcher in [&mut here, &mut there] {
        let (events, status) = watcher.end().await;
        assert!(events.is_empty());
        assert_reason::<()>(Err(status), "API_KEY_INVALID");
    }
    assert!(revoked.elapsed() < Duration::from_secs(3), "{:?}", revoked.elapsed());
    scene.human.says(&scene.thread, "still here").await;
    assert_eq!(texts(&of_other_key.take(1).await), ["still here"]);
}

#[tokio::test]
async fn a_key_that_expires_ends_its_streams() {
    let scene = Scene::start().await;
    let in_two_seconds = scene.app.clock.now().timestamp() + 2;
    let expires_at = prost_types::Timestamp { seconds: in_two_seconds, nanos: 0 };
    let key = CreateApiKeyRequest {
        agent_identity_id: scene.identity.id.clone(),
        expires_at: Some(expires_at),
        ..Default::default()
    };
    let mut caller = scene.agent.clone();
    caller.secret = Some(scene.admin.create_api_key(key).await.unwrap().secret);
    let mut watcher = Watcher::start(&caller).await;
    assert_reason::<()>(Err(watcher.end().await.1), "API_KEY_INVALID");
}

#[tokio::test]
async fn deleting_an_identity_ends_the_streams_of_its_keys_and_those_that_name_it() {
    let scene = Scene::start().await;
    let of_identity =
        WatchEventsRequest { agent_identity_id: Some(scene.identity.id.clone()), ..Default::default() };
    let mut of_admin = Watcher::open(&scene.admin, of_identity).await.unwrap();
    let mut of_agent = Watcher::start(&scene.agent).await;
    let request = DeleteIdentityRequest { identity_id: scene.identity.id.clone() };
    scene.admin.delete_identity(request).await.unwrap();
    assert_reason::<()>(Err(of_agent.end().await.1), "API_KEY_INVALID");
    // With the next heartbeat.
    assert_reason::<()>(Err(of_admin.end().await.1), "NOT_FOUND");
}
