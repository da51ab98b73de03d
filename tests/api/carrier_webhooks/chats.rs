//! The chat of a human at BlueBubbles.

use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::proto::{MarkConversationReadRequest, ReactionType, SendReactionRequest};
use serde_json::{Value, json};

use super::{HUMAN, Scene, Talk, assert_answer, bluebubbles_event};
use crate::messages::send;
use crate::support::eventually;

async fn says_in(scene: &Scene, talk: &Talk, guid: &str, chat: &str) {
    let mut text = bluebubbles_event("new-message", guid, "hi");
    text["data"]["chats"][0]["guid"] = json!(chat);
    assert_answer(&scene.bluebubbles(&talk.line, &text).await, 200, "stored");
}

#[tokio::test]
async fn calls_name_the_chat_of_the_newest_text() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let chats = [format!("SMS;-;{HUMAN}"), format!("any;-;{HUMAN}")];
    for (n, chat) in chats.iter().enumerate() {
        says_in(&scene, &talk, &format!("G-{n}"), chat).await;
        let conversation_id = talk.conversation_id.clone();
        talk.agent
            .mark_conversation_read(MarkConversationReadRequest { conversation_id, ..Default::default() })
            .await
            .unwrap();
        let sent = send(&talk.agent, &talk.conversation_id, "answer").await;
        let reaction = ReactionType::Love.into();
        let tapback = SendReactionRequest { message_id: sent.id, reaction, part_index: 0 };
        talk.agent.send_reaction(tapback).await.unwrap();
        let requests = scene.phone.mac_requests().split_off(3 * n);
        let named = |(path, body): &(String, Value)| {
            body["chatGuid"].as_str().map_or_else(|| path.clone(), str::to_owned)
        };
        let named: Vec<_> = requests.iter().map(named).collect();
        assert_eq!(named, [format!("chat/{chat}/read"), chat.clone(), chat.clone()]);
    }
}

#[tokio::test]
async fn without_a_text_of_a_webhook_the_chat_is_that_of_imessage() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "answer").await;
    assert_eq!(scene.phone.mac_requests()[0].1["chatGuid"], json!(format!("iMessage;-;{HUMAN}")));
}

#[tokio::test]
async fn the_router_line_answers_in_the_chat_of_the_command() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let mut command = bluebubbles_event("new-message", "G-1", "list");
    command["data"]["chats"][0]["guid"] = json!(format!("SMS;-;{HUMAN}"));
    assert_answer(&scene.bluebubbles(crate::support::app::ROUTER_LINE, &command).await, 200, "help");
    let sent = eventually("the reply is sent", async || scene.phone.mac_requests().first().cloned()).await;
    assert_eq!(sent.1["chatGuid"], json!(format!("SMS;-;{HUMAN}")));
}
