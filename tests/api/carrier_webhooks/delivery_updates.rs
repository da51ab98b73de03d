use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::proto::DeliveryStatus;
use serde_json::json;

use super::{HUMAN, Scene, Talk, assert_answer, sendblue_echo, sendblue_text};
use crate::messages::{send, to_conversation};
use crate::support::app::ROUTER_LINE;
use crate::support::assertions::assert_names_no_line;
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

#[tokio::test]
async fn an_update_that_arrives_before_the_send_is_committed_waits_for_it() {
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
    let mut update = sendblue_echo(&talk.line, "sent-1", "DELIVERED");
    update["date_sent"] = json!(scene.app.clock.now().to_rfc3339());
    let updating = scene.sendblue_status(&update);
    let responding = async {
        // The update is being applied by now, or will be: it finds the message in both cases.
        drop(closed);
        sending.await.unwrap().unwrap();
    };
    let (answer, ()) = tokio::join!(updating, responding);
    assert_answer(&answer, 200, "status");
    assert_eq!(status(&talk).await, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_recent_update_of_an_unknown_message_is_to_be_redelivered() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut update = sendblue_echo(&talk.line, "another", "DELIVERED");
    update["date_sent"] = json!(scene.app.clock.now().to_rfc3339());
    let answer = scene.sendblue_status(&update).await;
    assert_answer(&answer, 503, "too_early");
    assert!(answer.retry_after.is_some());
    // Replies of the router line are not stored, so their updates do not wait.
    update["sendblue_number"] = json!(ROUTER_LINE);
    assert_answer(&scene.sendblue_status(&update).await, 200, "ignored");
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

#[tokio::test]
async fn texts_and_updates_of_known_messages_are_processed_while_updates_of_unknown_ones_wait() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let updates: Vec<_> = (0..60)
        .map(|n| {
            let mut update = sendblue_echo(&talk.line, &format!("unknown-{n}"), "DELIVERED");
            update["date_sent"] = json!(scene.app.clock.now().to_rfc3339());
            update
        })
        .collect();
    let waiting = futures_util::future::join_all(updates.iter().map(|update| scene.sendblue_status(update)));
    let sent = crate::messages::send(&talk.agent, &talk.conversation_id, "hi").await;
    let texts = async {
        for n in 0..10 {
            let text = sendblue_text(&talk.line, &format!("T-{n}"), "hi");
            assert_answer(&scene.sendblue(&text).await, 200, "stored");
        }
        // Nor does an update of a message that is known.
        let update = sendblue_echo(&talk.line, "sent-1", "DELIVERED");
        assert_answer(&scene.sendblue_status(&update).await, 200, "status");
        let messages = talk.messages().await;
        let sent = messages.iter().find(|message| message.id == sent.id).unwrap();
        assert_eq!(sent.status(), DeliveryStatus::Delivered);
    };
    let (answers, ()) = tokio::join!(waiting, texts);
    assert!(answers.iter().all(|answer| answer.status == 503), "each is to be redelivered: {answers:?}");
}
