use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::{self, CarrierKind};
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::maintenance::pending;
use inkbox_imessage::messaging::early_statuses;
use inkbox_imessage::proto::DeliveryStatus;
use inkbox_imessage::store::messages::DeliveryUpdate;
use serde_json::{Value, json};

use super::{HUMAN, Scene, Talk, assert_answer, sendblue_echo, sendblue_text};
use crate::messages::{send, to_conversation};
use crate::support::app::ROUTER_LINE;
use crate::support::assertions::assert_names_no_line;
use crate::support::carrier::reply;
use crate::support::eventually;

/// The status of the agent's message.
async fn status(talk: &Talk) -> DeliveryStatus {
    let messages = talk.messages().await;
    messages.iter().find(|message| message.text() == "hi").unwrap().status()
}

#[tokio::test]
async fn the_status_webhook_and_the_echo_update_a_message() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "hi").await;
    assert_eq!(status(&talk).await, DeliveryStatus::Queued);
    assert_answer(&scene.sendblue_status(&sendblue_echo(&talk.line, "sent-1", "SENT")).await, 200, "status");
    assert_eq!(status(&talk).await, DeliveryStatus::Sent);
    assert_answer(&scene.sendblue(&sendblue_echo(&talk.line, "sent-1", "DELIVERED")).await, 200, "status");
    assert_eq!(status(&talk).await, DeliveryStatus::Delivered);
    // Late updates, and repeated ones.
    for late in ["QUEUED", "SENT", "DELIVERED", "ERROR"] {
        assert_answer(
            &scene.sendblue_status(&sendblue_echo(&talk.line, "sent-1", late)).await,
            200,
            "status",
        );
        assert_eq!(status(&talk).await, DeliveryStatus::Delivered, "after {late}");
    }
}

#[tokio::test]
async fn a_failure_has_sendblues_code_and_not_its_description() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "hi").await;
    let mut body = sendblue_echo(&talk.line, "sent-1", "ERROR");
    body["error_code"] = json!(10_001);
    body["error_message"] = json!(format!("\0 {} could not send", talk.line));
    body["was_downgraded"] = json!(true);
    assert_answer(&scene.sendblue_status(&body).await, 200, "status");
    let messages = talk.messages().await;
    let message = messages.iter().find(|message| message.text() == "hi").unwrap();
    let error = message.error.clone().unwrap();
    assert_eq!((message.status(), error.code.as_str()), (DeliveryStatus::Error, "10001"));
    assert!(message.was_downgraded);
    assert_names_no_line(&error);
}

#[tokio::test]
async fn an_update_of_an_unknown_message_is_acknowledged() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let unknown = sendblue_echo(&talk.line, "another", "DELIVERED");
    assert_answer(&scene.sendblue_status(&unknown).await, 200, "unknown_message");
    let mut undated = unknown;
    undated["date_sent"] = json!(null);
    assert_answer(&scene.sendblue_status(&undated).await, 200, "unknown_message");
}

/// An update of now.
fn recent(scene: &Scene, line: &str, handle: &str, status: &str) -> Value {
    let mut update = sendblue_echo(line, handle, status);
    update["date_sent"] = json!(scene.app.clock.now().to_rfc3339());
    update
}

#[tokio::test]
async fn updates_that_arrive_before_the_send_is_committed_are_applied_by_it() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let closed = scene.phone.gate().lock_owned().await;
    let agent = talk.agent.clone();
    let sending = to_conversation(&talk.conversation_id, "hi");
    let sending = tokio::spawn(async move { agent.send_message(sending).await });
    eventually("the carrier has received the message", async || {
        (!scene.phone.sent().is_empty()).then_some(())
    })
    .await;
    for status in ["SENT", "DELIVERED", "SENT"] {
        let update = recent(&scene, &talk.line, "sent-1", status);
        assert_answer(&scene.sendblue_status(&update).await, 200, "kept");
    }
    drop(closed);
    sending.await.unwrap().unwrap();
    assert_eq!(status(&talk).await, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn an_update_in_the_moment_in_which_the_send_is_committed_is_applied() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    for n in 1..=10 {
        let words = format!("hi {n}");
        let update = recent(&scene, &talk.line, &format!("sent-{n}"), "DELIVERED");
        let (answer, sent) =
            tokio::join!(scene.sendblue_status(&update), send(&talk.agent, &talk.conversation_id, &words));
        assert_eq!(answer.status, 200, "{answer:?}");
        let messages = talk.messages().await;
        let message = messages.iter().find(|message| message.id == sent.id).unwrap();
        assert_eq!(message.status(), DeliveryStatus::Delivered, "{words}: {answer:?}");
    }
}

#[tokio::test]
async fn an_update_of_a_message_that_is_found_at_the_carrier_later_is_applied_then() {
    let scene = crate::carriers::Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    scene.carrier.respond("messages", [reply(200, r#"{"data":[]}"#)]);
    let sent = send(&scene.agent, &scene.id, "hi").await;
    assert_eq!(sent.status(), DeliveryStatus::Pending);
    let early = DeliveryUpdate {
        line_number: crate::carriers::SENDBLUE_LINE.to_owned().into(),
        provider_message_id: "ours".to_owned(),
        status: domain::DeliveryStatus::Delivered,
        error: None,
        was_downgraded: false,
        now: scene.app.clock.now(),
    };
    let kept = early_statuses::keep(&scene.app.parts.db, early).await.unwrap();
    assert_eq!(kept, early_statuses::EarlyOutcome::Kept);
    let found = r#"{"data":[{"content":"hi","status":"SENT","message_handle":"ours"}]}"#;
    scene.carrier.respond("messages", [reply(200, found)]);
    scene.app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 1);
    let messages = crate::messages::messages_of(&scene.agent, &scene.id).await;
    assert_eq!(messages[0].status(), DeliveryStatus::Delivered);
}

#[tokio::test]
async fn early_updates_are_kept_for_an_hour_and_not_without_limit() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let update = recent(&scene, &talk.line, "another", "DELIVERED");
    for _ in 0..2 {
        assert_answer(&scene.sendblue_status(&update).await, 200, "kept");
        assert_eq!(scene.rows("early_statuses").await, 1);
    }
    // Replies of the router line are not stored, so their updates are not kept.
    let of_reply = recent(&scene, ROUTER_LINE, "reply", "DELIVERED");
    assert_answer(&scene.sendblue_status(&of_reply).await, 200, "ignored");
    scene.app.clock.advance(TimeDelta::minutes(61));
    cleanup::run_once(&scene.app.parts, Retention::default()).await.unwrap();
    assert_eq!(scene.rows("early_statuses").await, 0);

    let fill =
        "INSERT INTO early_statuses (line_number, provider_message_id, status, was_downgraded, created_at)
                SELECT '+12025550199', n::text, 5, false, now() FROM generate_series(1, 10000) n";
    sqlx::query(fill).execute(&scene.app.pool).await.unwrap();
    let update = recent(&scene, &talk.line, "one more", "DELIVERED");
    let answer = scene.sendblue_status(&update).await;
    assert_answer(&answer, 503, "too_early");
    assert!(answer.retry_after.is_some());
}

#[tokio::test]
async fn the_status_webhook_does_not_accept_texts() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut text = sendblue_text(&talk.line, "E-1", "one");
    assert_answer(&scene.sendblue_status(&text).await, 200, "ignored");
    text["status"] = json!("SENT");
    assert_answer(&scene.sendblue_status(&text).await, 200, "ignored");
    text["status"] = json!("RECEIVED");
    text["is_outbound"] = json!(null);
    assert_answer(&scene.sendblue_status(&text).await, 200, "ignored");
    assert_eq!(scene.rows("messages").await, 1);
    assert!(talk.messages().await.iter().all(|message| message.remote_number == HUMAN));
}
