//! `duration_seconds` of `SendTypingIndicator`.

use std::time::Duration;

use inkbox_imessage::admission::Share;
use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    Delivery, DeliveryKind, FilterMode, ReleaseConnectionRequest, SendMessageRequest,
    SendTypingIndicatorRequest, UpdateIdentityRequest,
};
use tokio::time::timeout;

use super::deliveries;
use super::stop_typing::stop;
use crate::support::callers::Caller;
use crate::support::{Human, PATIENCE, Scene, TestApp, assert_fields, assert_reason, eventually, rows};

/// Renewals come soon in these tests.
const INTERVAL: Duration = Duration::from_millis(30);

pub(super) async fn start() -> Scene {
    start_with("+15551230001", Some(INTERVAL)).await
}

/// A human of this number, and the time between two renewals.
pub(super) async fn start_with(number: &str, interval: Option<Duration>) -> Scene {
    Scene::on(TestApp::with(|settings| settings.typing_renewal = interval).await, number).await
}

pub(super) fn types_for(id: &str, seconds: i32) -> SendTypingIndicatorRequest {
    SendTypingIndicatorRequest { conversation_id: id.to_owned(), duration_seconds: Some(seconds) }
}

fn once(id: &str) -> SendTypingIndicatorRequest {
    SendTypingIndicatorRequest { conversation_id: id.to_owned(), duration_seconds: None }
}

fn message(id: &str) -> SendMessageRequest {
    SendMessageRequest {
        target: Some(Target::ConversationId(id.to_owned())),
        text: Some("hi".to_owned()),
        ..Default::default()
    }
}

async fn kinds(admin: &Caller, id: &str) -> Vec<DeliveryKind> {
    deliveries(admin, id).await.iter().map(Delivery::kind).collect()
}

/// Waits until the indicator was shown so many times.
pub(super) async fn until_shown(admin: &Caller, id: &str, times: usize) {
    eventually("the indicator is renewed", async || {
        let shown = kinds(admin, id).await.into_iter().filter(|kind| *kind == DeliveryKind::Typing);
        (shown.count() >= times).then_some(())
    })
    .await;
}

/// Waits until no lease runs and nothing works without its caller, so that nothing more reaches a phone.
pub(super) async fn until_no_task(app: &TestApp) {
    eventually("no lease is left", async || {
        (app.parts.typing.count() == 0 && app.parts.tasks.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_indicator_is_renewed_until_the_duration_has_passed_and_then_ended() {
    let Scene { app, conversation_id: id, admin, agent, .. } = start().await;
    agent.send_typing_indicator(types_for(&id, 1)).await.unwrap();
    until_shown(&admin, &id, 3).await;
    until_no_task(&app).await;
    let shown = kinds(&admin, &id).await;
    let (last, renewals) = shown.split_last().unwrap();
    assert_eq!(*last, DeliveryKind::TypingStop);
    assert!(renewals.iter().all(|kind| *kind == DeliveryKind::Typing), "{shown:?}");
    assert!(renewals.len() <= 2 + 1_000 / 30, "{} in a second", renewals.len());
}

#[tokio::test]
async fn the_next_message_ends_it_and_no_indicator_follows_the_message() {
    let Scene { app, conversation_id: id, admin, agent, .. } = start().await;
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    until_shown(&admin, &id, 2).await;
    agent.send_message(message(&id)).await.unwrap();
    assert_eq!(app.parts.typing.count(), 0);
    until_no_task(&app).await;
    assert_eq!(*kinds(&admin, &id).await.last().unwrap(), DeliveryKind::Message);
}

#[tokio::test]
async fn a_message_that_another_replica_sent_ends_it() {
    let Scene { app, conversation_id: id, identity, admin, agent, .. } = start().await;
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    until_shown(&admin, &id, 2).await;
    let replica = app.replica_sharing_clock().await;
    replica.agent(&identity).await.send_message(message(&id)).await.unwrap();
    until_no_task(&app).await;
}

#[tokio::test]
async fn each_change_that_forbids_the_indicator_ends_it() {
    for change in ["release", "disconnect", "reconnect", "block", "whitelist", "opt-out", "disable"] {
        let scene = start().await;
        let Scene { app, conversation_id: id, identity, human, thread, admin, agent, .. } = scene;
        agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
        until_shown(&admin, &id, 2).await;
        let mut update = UpdateIdentityRequest { identity_id: identity.id.clone(), ..Default::default() };
        match change {
            "release" => {
                let request = ReleaseConnectionRequest { connection_id: thread.connection_id };
                admin.release_connection(request).await.unwrap();
            }
            "disconnect" => human.disconnects(&identity).await,
            "reconnect" => {
                human.disconnects(&identity).await;
                human.connects(&identity).await;
            }
            "block" => _ = rows::block(&app.pool, &identity, &human.number).await,
            "opt-out" => _ = human.says(&thread, "STOP").await,
            _ => {
                match change {
                    "whitelist" => update.filter_mode = FilterMode::Whitelist.into(),
                    _ => update.imessage_enabled = Some(false),
                }
                admin.update_identity(update).await.unwrap();
            }
        }
        until_no_task(&app).await;
        let shown = kinds(&admin, &id).await;
        assert!(shown.iter().all(|kind| *kind == DeliveryKind::Typing), "{change}: {shown:?}");
    }
}

#[tokio::test]
async fn a_renewal_that_the_line_fails_ends_it() {
    let Scene { app, conversation_id: id, admin, agent, .. } =
        start_with("+15005550002", Some(INTERVAL)).await;
    assert_reason(agent.send_typing_indicator(types_for(&id, 600)).await, "UPSTREAM_FAILED");
    until_no_task(&app).await;
    assert_eq!(deliveries(&admin, &id).await.len(), 1, "a call that fails starts none");
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    until_no_task(&app).await;
    let failed: Vec<_> = deliveries(&admin, &id).await.iter().map(|one| one.failed).collect();
    assert_eq!(failed, [true, false, true]);
}

#[tokio::test]
async fn a_new_duration_replaces_the_old_one_and_a_call_without_one_leaves_it_as_it_is() {
    let Scene { app, conversation_id: id, admin, agent, .. } = start().await;
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    agent.send_typing_indicator(once(&id)).await.unwrap();
    assert_eq!(app.parts.typing.count(), 1);
    until_shown(&admin, &id, 5).await;
    agent.send_typing_indicator(types_for(&id, 1)).await.unwrap();
    assert_eq!(app.parts.typing.count(), 1);
    until_no_task(&app).await;
    assert_eq!(*kinds(&admin, &id).await.last().unwrap(), DeliveryKind::TypingStop);
}

#[tokio::test]
async fn without_a_duration_it_is_shown_once() {
    let Scene { app, conversation_id: id, admin, agent, .. } = start().await;
    agent.send_typing_indicator(once(&id)).await.unwrap();
    until_no_task(&app).await;
    assert_eq!(kinds(&admin, &id).await, [DeliveryKind::Typing]);
}

#[tokio::test]
async fn an_organization_has_a_bounded_number_of_them_and_a_refused_call_shows_nothing() {
    // One percent of all leases.
    const SHARE: usize = 10;
    let app = TestApp::with(|settings| settings.admission.share = Share::percent(1).unwrap()).await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let mut ids = Vec::new();
    for number in 0..=SHARE {
        let human = Human::new(&app, &format!("+1555123{number:04}")).await;
        ids.push(human.converses(&identity, "hello").await.1);
    }
    let (beyond, within) = ids.split_last().unwrap();
    for id in within {
        agent.send_typing_indicator(types_for(id, 600)).await.unwrap();
    }
    let refused = assert_reason(agent.send_typing_indicator(types_for(beyond, 600)).await, "OVERLOADED");
    assert!(refused.retry_info().is_some());
    assert!(deliveries(&admin, beyond).await.is_empty());
    assert_eq!(app.parts.typing.count(), SHARE);
    // Of another organization, and of a conversation that has one.
    let foreign = app.identity("org_b").await;
    let (_, id) = Human::new(&app, "+15551239999").await.converses(&foreign, "hello").await;
    app.agent(&foreign).await.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    agent.send_typing_indicator(types_for(&within[0], 600)).await.unwrap();
    // An indicator that is shown once needs no place.
    agent.send_typing_indicator(once(beyond)).await.unwrap();
    agent.stop_typing_indicator(stop(&within[1])).await.unwrap();
    agent.send_typing_indicator(types_for(beyond, 600)).await.unwrap();
}

#[tokio::test]
async fn a_duration_is_one_to_six_hundred_seconds() {
    let Scene { app, conversation_id: id, admin, agent, .. } = start().await;
    for seconds in [0, -1, 601, i32::MAX, i32::MIN] {
        assert_fields(agent.send_typing_indicator(types_for(&id, seconds)).await, &["duration_seconds"]);
    }
    assert!(deliveries(&admin, &id).await.is_empty());
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    assert_eq!(app.parts.typing.count(), 1);
}

#[tokio::test]
async fn a_drain_ends_it_and_does_not_wait_for_the_duration() {
    let Scene { app, conversation_id: id, agent, .. } = start().await;
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    let (typing, tasks) = (app.parts.typing.clone(), app.parts.tasks.clone());
    app.stop.cancel();
    timeout(PATIENCE, app.until_stopped()).await.expect("the drain ends");
    assert_eq!((typing.count(), tasks.len()), (0, 0));
}
