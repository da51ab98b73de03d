//! Texts that reply to a message, at BlueBubbles.

use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::proto::SendMessageRequest;
use serde_json::json;

use super::{Scene, Talk, assert_answer, bluebubbles_event};
use crate::messages::{send, to_conversation};
use crate::support::Human;

/// A reply to the message with this id, and the message that it names.
async fn reply_to(scene: &Scene, talk: &Talk, guid: &str, original: &str) -> Option<String> {
    let mut body = bluebubbles_event("new-message", guid, guid);
    body["data"]["threadOriginatorGuid"] = json!(original);
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "stored");
    let messages = talk.messages().await;
    messages.into_iter().find(|message| message.text() == guid).unwrap().reply_to_message_id
}

#[tokio::test]
async fn a_reply_names_the_message_if_the_conversation_has_it() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let sent = send(&talk.agent, &talk.conversation_id, "hi").await;
    assert_eq!(reply_to(&scene, &talk, "R-1", "sent-1").await, Some(sent.id.clone()));
    assert_eq!(reply_to(&scene, &talk, "R-2", "p:0/sent-1").await, Some(sent.id));
    assert_eq!(reply_to(&scene, &talk, "R-3", "unknown").await, None);
    // Of another conversation on the same line.
    let other = Human::new(&scene.app, "+15551230002").await;
    let (thread, _) = other.converses(&scene.identity, "hello").await;
    let mut text = other.text(&thread.line, "theirs");
    text.provider_message_id = "theirs".to_owned();
    other.router.receive_message(text).await.unwrap();
    assert_eq!(reply_to(&scene, &talk, "R-4", "theirs").await, None);
}

#[tokio::test]
async fn a_reply_of_an_agent_names_the_message_at_the_server() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let text = bluebubbles_event("new-message", "G-1", "a question");
    assert_answer(&scene.bluebubbles(&talk.line, &text).await, 200, "stored");
    let question = talk.messages().await.into_iter().find(|message| message.text() == "a question").unwrap();
    let reply = SendMessageRequest {
        reply_to_message_id: Some(question.id.clone()),
        ..to_conversation(&talk.conversation_id, "an answer")
    };
    let sent = talk.agent.send_message(reply).await.unwrap().message.unwrap();
    assert_eq!(sent.reply_to_message_id, Some(question.id));
    let (_, body) = scene.phone.mac_requests().pop().unwrap();
    assert_eq!((&body["selectedMessageGuid"], &body["method"]), (&json!("G-1"), &json!("private-api")));
}
