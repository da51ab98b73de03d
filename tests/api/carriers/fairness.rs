//! What the calls of one organization to a carrier may cost another one.

use std::time::Duration;

use inkbox_imessage::carriers::BreakerSettings;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::proto::{DeliveryStatus, SendTypingIndicatorRequest};
use tokio::task::JoinSet;

use super::sendblue::{QUEUED, READ, TYPING};
use super::{Scene, assert_upstream, mark_read};
use crate::messages::{send, to_conversation};
use crate::support::callers::Caller;
use crate::support::carrier::{Reply, reply};
use crate::support::{Human, eventually};

const POISON: &str = "poison";
const NOTHING_FOUND: &str = r#"{"status":"OK","data":[]}"#;
const LONG_PAUSE: Duration = Duration::from_hours(1);
/// The default bound of concurrent calls to a carrier, and a quarter of it.
const CONCURRENCY: usize = 64;
const SHARE: usize = 16;

/// A scene whose breakers have the default minimum of calls, and permit no probe.
async fn scene() -> Scene {
    scene_with(BreakerSettings { pause: LONG_PAUSE, ..BreakerSettings::default() }).await
}

/// A conversation of `org_a`, on a carrier that fails to send poisoned texts and does everything else.
async fn scene_with(breaker: BreakerSettings) -> Scene {
    let scene = Scene::sendblue_with(super::CALL_TIMEOUT, |carriers| carriers.breaker = breaker).await;
    scene.carrier.fail_on(POISON);
    for (path, body) in [
        ("mark-read", READ),
        ("send-typing-indicator", TYPING),
        ("send-message", QUEUED),
        ("v2/messages", NOTHING_FOUND),
    ] {
        scene.carrier.respond(path, [reply(200, body)]);
    }
    scene
}

/// A conversation of another organization on the same carrier.
async fn other_organization(scene: &Scene, organization: &str, human: &str) -> (Caller, String) {
    let identity = scene.app.identity(organization).await;
    let human = Human::new(&scene.app, human).await;
    let (_, id) = human.converses(&identity, "hello").await;
    (scene.app.agent(&identity).await, id)
}

/// Sends a text on which the carrier fails, so that its outcome is unknown.
async fn send_poison(agent: &Caller, id: &str) {
    let sent = agent.send_message(to_conversation(id, POISON)).await.unwrap();
    assert_eq!(sent.message.unwrap().status(), DeliveryStatus::Pending);
}

/// Asserts that the carrier accepts a text.
async fn assert_sent(scene: &Scene, agent: &Caller, id: &str) {
    // Each message has an id of its own at the carrier.
    let handle = scene.carrier.request_count("send-message").to_string();
    let accepted = QUEUED.replace("dfd747bc-5600-4a8a-804a-6e614eac3a8e", &handle);
    scene.carrier.respond("send-message", [reply(200, &accepted)]);
    assert_eq!(send(agent, id, "hi").await.status(), DeliveryStatus::Queued);
}

#[tokio::test]
async fn texts_on_which_the_carrier_fails_do_not_stop_the_sends_of_another_organization() {
    let scene = scene().await;
    let (other, other_id) = other_organization(&scene, "org_b", "+15551230002").await;
    // Concurrent ones, of different humans, so that they do not wait for each other.
    let mut poisoned = JoinSet::new();
    for number in 0..8 {
        let (agent, id) = other_organization(&scene, "org_a", &format!("+1555124000{number}")).await;
        poisoned.spawn(async move { send_poison(&agent, &id).await });
    }
    poisoned.join_all().await;
    for _ in 0..3 {
        assert_sent(&scene, &other, &other_id).await;
    }
    for _ in 0..30 {
        send_poison(&scene.agent, &scene.id).await;
        assert_sent(&scene, &other, &other_id).await;
    }
    assert!(!scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
}

#[tokio::test]
async fn while_only_one_organization_sends_and_fails_its_sends_are_stopped_and_not_those_of_others() {
    let scene = scene().await;
    let (other, other_id) = other_organization(&scene, "org_b", "+15551230002").await;
    for _ in 0..10 {
        send_poison(&scene.agent, &scene.id).await;
    }
    let next = scene.agent.send_message(to_conversation(&scene.id, "hi")).await;
    assert!(assert_upstream(next).is_some(), "a retry can succeed");
    assert_eq!(scene.carrier.request_count("send-message"), 10, "no request is sent");
    assert_sent(&scene, &other, &other_id).await;
    assert_sent(&scene, &scene.agent, &scene.id).await;
}

#[tokio::test]
async fn failing_sends_of_two_organizations_open_the_breaker_although_look_ups_succeed() {
    let scene = scene().await;
    let (second, second_id) = other_organization(&scene, "org_b", "+15551230002").await;
    let (third, third_id) = other_organization(&scene, "org_c", "+15551230003").await;
    for _ in 0..5 {
        send_poison(&scene.agent, &scene.id).await;
        send_poison(&second, &second_id).await;
    }
    assert_eq!(scene.carrier.request_count("v2/messages"), 10);
    for (agent, id) in [(&scene.agent, &scene.id), (&third, &third_id)] {
        let next = agent.send_message(to_conversation(id, "hi")).await;
        assert!(assert_upstream(next).is_some(), "a retry can succeed");
    }
    assert_eq!(scene.carrier.request_count("send-message"), 10, "no request is sent");
    mark_read(&third, &third_id).await.expect("receipts are another class of calls");
}

#[tokio::test]
async fn an_organization_whose_probes_fail_does_not_keep_the_breaker_open_for_others() {
    let scene = scene_with(BreakerSettings { min_calls: 2, pause: Duration::from_millis(500) }).await;
    let (other, other_id) = other_organization(&scene, "org_b", "+15551230002").await;
    send_poison(&scene.agent, &scene.id).await;
    // The breaker opens for one organization, and then for all.
    send_poison(&scene.agent, &scene.id).await;
    send_poison(&other, &other_id).await;
    let is_open = || scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue);
    eventually("the probe of the first organization fails", async || {
        let poison = to_conversation(&scene.id, POISON);
        scene.agent.send_message(poison).await.ok()
    })
    .await;
    assert!(is_open());
    // Without waiting for another pause.
    assert_sent(&scene, &other, &other_id).await;
    assert!(!is_open());
}

#[tokio::test]
async fn failing_receipts_do_not_stop_sends() {
    let scene = scene().await;
    scene.carrier.respond("mark-read", [reply(503, "")]);
    for _ in 0..11 {
        assert!(assert_upstream(scene.mark_read().await).is_some());
    }
    assert_eq!(scene.carrier.request_count("mark-read"), 10, "the breaker of receipts is open");
    assert_sent(&scene, &scene.agent, &scene.id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_calls_of_one_organization_leave_places_for_another() {
    let scene = scene().await;
    let (other, other_id) = other_organization(&scene, "org_b", "+15551230002").await;
    scene.carrier.respond("mark-read", [Reply::Never]);
    let mut slow = JoinSet::new();
    for _ in 0..200 {
        let (agent, id) = (scene.agent.clone(), scene.id.clone());
        slow.spawn(async move { mark_read(&agent, &id).await });
    }
    eventually("the organization uses its share", async || {
        (scene.carrier.request_count("mark-read") >= SHARE).then_some(())
    })
    .await;
    for _ in 0..20 {
        let request = SendTypingIndicatorRequest { conversation_id: other_id.clone(), ..Default::default() };
        other.send_typing_indicator(request).await.expect("places are left");
    }
    assert_eq!(scene.carrier.request_count("mark-read"), SHARE, "of {CONCURRENCY} places");
    slow.abort_all();
}
