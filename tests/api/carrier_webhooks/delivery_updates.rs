use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::proto::DeliveryStatus;
use serde_json::json;

use super::{HUMAN, Scene, Talk, assert_answer, sendblue_echo, sendblue_text};
use crate::messages::{send, to_conversation};
use crate::support::app::ROUTER_LINE;
use crate::support::assertions::assert_names_no_line;
use crate::support::eventually;

/// What the agent's newest message came to.
async fn status(talk: &Talk) -> DeliveryStatus {
    let messages = talk.messages().await;
    messages.iter().find(|message| message.text() == "hi").unwrap().status()
}

#[tokio::test]
async fn a_message_goes_on_by_its_own_address_and_by_its_echo() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "hi").await;
    assert_eq!(status(&talk).await, DeliveryStatus::Queued);
    assert_answer(&scene.sendblue_status(&sendblue_echo(&talk.line, "sent-1", "SENT")).await, 200, "status");
    assert_eq!(status(&talk).await, DeliveryStatus::Sent);
    assert_answer(&scene.sendblue(&sendblue_echo(&talk.line, "sent-1", "DELIVERED")).await, 200, "status");
    assert_eq!(status(&talk).await, DeliveryStatus::Delivered);
    // Late, and again.
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
async fn a_failure_keeps_sendblues_code_and_none_of_its_words() {
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
async fn news_of_a_message_that_nobody_knows_is_acknowledged() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let unknown = sendblue_echo(&talk.line, "another", "DELIVERED");
    assert_answer(&scene.sendblue_status(&unknown).await, 200, "unknown_message");
    let mut undated = unknown;
    undated["date_sent"] = json!(null);
    assert_answer(&scene.sendblue_status(&undated).await, 200, "unknown_message");
}

#[tokio::test]
async fn news_that_is_ahead_of_our_own_commit_waits_for_it() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let closed = scene.phone.gate().lock_owned().await;
    let agent = talk.agent.clone();
    let sending = to_conversation(&talk.conversation_id, "hi");
    let sending = tokio::spawn(async move { agent.send_message(sending).await });
    eventually("the line has it", async || (!scene.phone.sent().is_empty()).then_some(())).await;
    let mut news = sendblue_echo(&talk.line, "sent-1", "DELIVERED");
    news["date_sent"] = json!(scene.app.clock.now().to_rfc3339());
    let telling = scene.sendblue_status(&news);
    let answering = async {
        // The news is being looked up by now, or will be: either way it finds the message in the end.
        drop(closed);
        sending.await.unwrap().unwrap();
    };
    let (answer, ()) = tokio::join!(telling, answering);
    assert_answer(&answer, 200, "status");
    assert_eq!(status(&talk).await, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn young_news_of_an_unknown_message_is_to_come_again() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut news = sendblue_echo(&talk.line, "another", "DELIVERED");
    news["date_sent"] = json!(scene.app.clock.now().to_rfc3339());
    let answer = scene.sendblue_status(&news).await;
    assert_answer(&answer, 503, "too_early");
    assert!(answer.retry_after.is_some());
    // The router line's answers are known to nobody, so they are not waited for.
    news["sendblue_number"] = json!(ROUTER_LINE);
    assert_answer(&scene.sendblue_status(&news).await, 200, "ignored");
}

#[tokio::test]
async fn the_address_for_news_takes_no_texts() {
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
