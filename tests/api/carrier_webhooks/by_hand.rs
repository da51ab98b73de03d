//! Messages that a person sends by hand from the account of a line, and echoes of what the service sends.

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::proto::{
    DeliveryStatus, ListConversationsRequest, Message, MessageDirection, MessageOrigin,
};
use serde_json::{Value, json};

use super::{HUMAN, Scene, Talk, assert_answer, bluebubbles_event, sendblue_echo};
use crate::messages::{send, to_conversation};
use crate::support::{Human, invariants};

/// A message from the account of the line to the human.
fn echo(guid: &str, text: &str) -> Value {
    let mut body = bluebubbles_event("new-message", guid, text);
    body["data"]["isFromMe"] = json!(true);
    body["data"]["handle"] = Value::Null;
    body
}

async fn outbound(talk: &Talk) -> Vec<Message> {
    let mut messages = talk.messages().await;
    messages.retain(|message| message.direction() == MessageDirection::Outbound);
    messages
}

#[tokio::test]
async fn an_answer_by_hand_is_an_outbound_message_that_says_so() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    assert_answer(&scene.bluebubbles(&talk.line, &echo("M-1", "I am on it")).await, 200, "stored_by_hand");
    assert_answer(&scene.bluebubbles(&talk.line, &echo("M-1", "I am on it")).await, 200, "ignored");
    let messages = outbound(&talk).await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((message.text(), message.status()), ("I am on it", DeliveryStatus::Sent));
    assert_eq!((message.origin(), message.is_read), (MessageOrigin::ByHand, true));
    assert_eq!(message.created_at.map(|time| time.seconds), Some(1_767_323_045));
    let sent = send(&talk.agent, &talk.conversation_id, "and I").await;
    assert_eq!(sent.origin(), MessageOrigin::Service);
    let inbound = talk.messages().await.into_iter().find(|message| message.text() == "hello").unwrap();
    assert_eq!(inbound.origin(), MessageOrigin::Unspecified);
    // The phone of the human confirms it as any other.
    let mut delivered = echo("M-1", "I am on it");
    delivered["type"] = json!("updated-message");
    delivered["data"]["dateDelivered"] = json!(1_767_323_046_000_i64);
    assert_answer(&scene.bluebubbles(&talk.line, &delivered).await, 200, "status");
    let message = outbound(&talk).await.into_iter().find(|message| message.text() == "I am on it").unwrap();
    assert_eq!(message.status(), DeliveryStatus::Delivered);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn an_echo_before_the_answer_of_the_carrier_is_no_message_by_hand() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let gate = scene.phone.gate();
    let closed = gate.lock().await;
    let (agent, request) = (talk.agent.clone(), to_conversation(&talk.conversation_id, "on my way "));
    let sending = tokio::spawn(async move { agent.send_message(request).await.unwrap() });
    crate::support::eventually("the carrier is called", async || scene.phone.sent().pop()).await;
    // The Mac reports it, without the blanks, while the send has no answer.
    assert_answer(&scene.bluebubbles(&talk.line, &echo("sent-1", "on my way")).await, 200, "ignored");
    // In the meantime somebody writes something else by hand.
    assert_answer(&scene.bluebubbles(&talk.line, &echo("M-1", "wait")).await, 200, "stored_by_hand");
    drop(closed);
    sending.await.unwrap();
    assert_answer(&scene.bluebubbles(&talk.line, &echo("sent-1", "on my way")).await, 200, "ignored");
    // The same words by hand, after the send has its id.
    assert_answer(&scene.bluebubbles(&talk.line, &echo("M-2", "on my way")).await, 200, "stored_by_hand");
    assert_eq!(outbound(&talk).await.len(), 3);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn the_echo_of_a_message_whose_send_got_no_answer_says_that_it_was_sent() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let gate = scene.phone.gate();
    let closed = gate.lock().await;
    let pending = send(&talk.agent, &talk.conversation_id, "on my way").await;
    assert_eq!(pending.status(), DeliveryStatus::Pending);
    assert_answer(&scene.bluebubbles(&talk.line, &echo("sent-1", "on my way")).await, 200, "ignored");
    drop(closed);
    let [message] = &outbound(&talk).await[..] else { panic!("one message") };
    assert_eq!((&message.id, message.status()), (&pending.id, DeliveryStatus::Queued));
    let mut delivered = echo("sent-1", "on my way");
    delivered["type"] = json!("updated-message");
    delivered["data"]["dateDelivered"] = json!(1_767_323_105_678_i64);
    assert_answer(&scene.bluebubbles(&talk.line, &delivered).await, 200, "status");
    assert_eq!(outbound(&talk).await[0].status(), DeliveryStatus::Delivered);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn an_echo_with_the_temporary_id_of_a_send_is_no_message_by_hand() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let sent = send(&talk.agent, &talk.conversation_id, "hi").await;
    let mut body = echo("another", "something else");
    body["data"]["tempGuid"] = json!(sent.id);
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "ignored");
    assert_eq!(outbound(&talk).await.len(), 1);
}

#[tokio::test]
async fn messages_to_groups_and_to_strangers_are_not_stored() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let to = |chat: Value| {
        let mut body = echo("M-1", "hello all");
        body["data"]["chats"] = chat;
        body
    };
    for (body, result) in [
        (to(json!([{ "guid": "any;+;chat66", "style": 43 }])), "ignored"),
        (to(json!([])), "ignored"),
        (to(json!([{ "guid": "any;-;someone@example.com", "style": 45 }])), "ignored"),
        (to(json!([{ "guid": "any;-;+15551239999", "style": 45 }])), "not_connected"),
    ] {
        assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, result);
    }
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn a_message_from_the_dashboard_of_sendblue_is_stored_and_an_early_echo_is_not() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let echo = |handle: &str, text: &str, status: &str| {
        let mut body = sendblue_echo(&talk.line, handle, status);
        body["content"] = json!(text);
        body["number"] = json!(HUMAN);
        body["date_sent"] = json!(scene.app.clock.now().to_rfc3339());
        body
    };
    let manual = echo("M-1", "I am on it", "DELIVERED");
    assert_answer(&scene.sendblue(&manual).await, 200, "stored_by_hand");
    assert_answer(&scene.sendblue(&manual).await, 200, "status");
    let message = outbound(&talk).await.remove(0);
    assert_eq!((message.origin(), message.status()), (MessageOrigin::ByHand, DeliveryStatus::Delivered));
    let closed = scene.phone.gate().lock_owned().await;
    let (agent, request) = (talk.agent.clone(), to_conversation(&talk.conversation_id, "hi"));
    let sending = tokio::spawn(async move { agent.send_message(request).await.unwrap() });
    crate::support::eventually("the carrier is called", async || scene.phone.sent().pop()).await;
    assert_answer(&scene.sendblue(&echo("sent-1", "hi", "SENT")).await, 200, "kept");
    drop(closed);
    sending.await.unwrap();
    assert_answer(&scene.sendblue(&echo("sent-1", "hi", "SENT")).await, 200, "status");
    assert_eq!(outbound(&talk).await.len(), 2);
    // One of the status URL, which accepts no messages.
    assert_answer(&scene.sendblue_status(&echo("M-3", "x", "SENT")).await, 200, "kept");
    assert_eq!(outbound(&talk).await.len(), 2);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn a_message_by_hand_may_be_the_first_of_a_conversation() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let human = Human::new(&scene.app, HUMAN).await;
    let thread = human.connects(&scene.identity).await;
    assert_answer(&scene.bluebubbles(&thread.line, &echo("M-1", "welcome")).await, 200, "stored_by_hand");
    let agent = scene.app.agent(&scene.identity).await;
    let listed = agent.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    assert_eq!((listed.len(), listed[0].latest_text(), listed[0].unread_count), (1, "welcome", 0));
    // It is no text of the human's, which a send requires.
    let answer = agent.send_message(to_conversation(&listed[0].id, "hi")).await;
    crate::support::assert_reason(answer, "RECIPIENT_HAS_NOT_MESSAGED");
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn a_keyword_that_is_sent_by_hand_does_not_opt_the_human_out() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    assert_answer(&scene.bluebubbles(&talk.line, &echo("M-1", "STOP")).await, 200, "stored_by_hand");
    send(&talk.agent, &talk.conversation_id, "still here").await;
    let words = bluebubbles_event("new-message", "G-1", "STOP");
    assert_answer(&scene.bluebubbles(&talk.line, &words).await, 200, "stored");
    let refused = talk.agent.send_message(to_conversation(&talk.conversation_id, "hello?")).await;
    crate::support::assert_reason(refused, "RECIPIENT_OPTED_OUT");
}
