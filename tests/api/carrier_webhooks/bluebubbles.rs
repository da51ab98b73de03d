use inkbox_imessage::domain::{CarrierKind, LineRole};
use inkbox_imessage::proto::{DeliveryStatus, MessageTransport, ReactionType};
use serde_json::{Value, json};

use super::{Scene, assert_answer, bluebubbles_event};
use crate::messages::send;
use crate::support::app::POOL_LINES;
use crate::support::assertions::assert_names_no_line;

#[tokio::test]
async fn a_text_is_stored_once_and_an_echo_is_not() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut text = bluebubbles_event("new-message", "G-1", "one");
    text["data"]["chats"][0]["guid"] = json!("SMS;-;+15551230001");
    text["data"]["something_new"] = json!({ "unknown": true });
    assert_answer(&scene.bluebubbles(&talk.line, &text).await, 200, "stored");
    assert_answer(&scene.bluebubbles(&talk.line, &text).await, 200, "duplicate");
    send(&talk.agent, &talk.conversation_id, "two").await;
    let mut echo = bluebubbles_event("new-message", "sent-1", "two");
    echo["data"]["isFromMe"] = json!(true);
    assert_answer(&scene.bluebubbles(&talk.line, &echo).await, 200, "ignored");
    let messages = talk.messages().await;
    assert_eq!(messages.len(), 3);
    let message = messages.iter().find(|message| message.text() == "one").unwrap();
    assert_eq!(message.transport(), MessageTransport::Sms);
    assert_eq!(message.created_at.map(|time| time.seconds), Some(1_767_323_045));
}

#[tokio::test]
async fn a_tapback_is_added_to_the_message_it_names_and_removed() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "hi").await;
    let tapback = |guid: &str, kind: Value, target: &str| {
        let mut body = bluebubbles_event("new-message", guid, "Loved “hi”");
        body["data"]["associatedMessageType"] = kind;
        body["data"]["associatedMessageGuid"] = json!(target);
        body
    };
    let live = async || {
        let messages = talk.messages().await;
        let reactions = messages.iter().find(|message| message.text() == "hi").unwrap().reactions.clone();
        reactions.iter().map(|reaction| (reaction.reaction(), reaction.part_index)).collect::<Vec<_>>()
    };
    for (body, result, after) in [
        (tapback("T-1", json!("love"), "p:1/sent-1"), "tapback", vec![(ReactionType::Love, 1)]),
        (tapback("T-1", json!("love"), "p:1/sent-1"), "duplicate", vec![(ReactionType::Love, 1)]),
        (tapback("T-2", json!(2_004), "p:1/sent-1"), "tapback", vec![(ReactionType::Emphasize, 1)]),
        (tapback("T-3", json!("-emphasize"), "p:1/sent-1"), "tapback", vec![]),
        (tapback("T-8", json!(2_000), "sent-1"), "tapback", vec![(ReactionType::Love, 0)]),
        (tapback("T-4", json!(2_001), "bp:sent-1"), "tapback", vec![(ReactionType::Like, 0)]),
        // The late removal of the one that was replaced.
        (tapback("T-9", json!(3_000), "sent-1"), "duplicate", vec![(ReactionType::Like, 0)]),
        (tapback("T-5", json!(3_001), "sent-1"), "tapback", vec![]),
        (tapback("T-6", json!("love"), "p:0/another"), "unknown_message", vec![]),
    ] {
        assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, result);
        assert_eq!(live().await, after);
    }
    let no_part = tapback("T-7", json!("love"), "p:99/sent-1");
    assert_answer(&scene.bluebubbles(&talk.line, &no_part).await, 422, "refused");
    assert_eq!(scene.rows("messages").await, 2);
}

#[tokio::test]
async fn a_path_without_a_line_of_bluebubbles_is_404() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    scene.talk().await;
    scene.app.add_line_with(POOL_LINES[1], LineRole::Pool, CarrierKind::Sendblue).await;
    let text = bluebubbles_event("new-message", "G-1", "one");
    for line in [POOL_LINES[1], "+19995550000"] {
        let answer = scene.bluebubbles(line, &text).await;
        assert_answer(&answer, 404, "no_such_line");
        assert_names_no_line(&answer);
    }
    assert_answer(&scene.bluebubbles("12025550101", &text).await, 422, "refused");
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn a_file_is_stored_by_its_id_without_the_servers_password() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut body = bluebubbles_event("new-message", "G-1", "\u{fffc}");
    body["data"]["attachments"] = json!([{ "guid": "at_0_1", "mimeType": "image/png", "totalBytes": 5 }]);
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "stored");
    let messages = talk.messages().await;
    let file = &messages.iter().find(|message| !message.media.is_empty()).unwrap().media[0];
    assert_eq!(
        (file.url.as_str(), file.content_type.as_deref(), file.size_bytes),
        ("bluebubbles:attachment/at_0_1", Some("image/png"), Some(5))
    );
}

#[tokio::test]
async fn updates_of_the_server_change_the_status_of_an_outbound_message() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "hi").await;
    send(&talk.agent, &talk.conversation_id, "ho").await;
    let mut delivered = bluebubbles_event("updated-message", "sent-1", "hi");
    delivered["data"]["isFromMe"] = json!(true);
    assert_answer(&scene.bluebubbles(&talk.line, &delivered).await, 200, "ignored");
    delivered["data"]["dateDelivered"] = json!(1_767_323_046_000_i64);
    let mut failed = bluebubbles_event("message-send-error", "another", "ho");
    failed["data"]["tempGuid"] = json!("sent-2");
    failed["data"]["error"] = json!(22);
    for _ in 0..2 {
        assert_answer(&scene.bluebubbles(&talk.line, &delivered).await, 200, "status");
        assert_answer(&scene.bluebubbles(&talk.line, &failed).await, 200, "status");
    }
    let messages = talk.messages().await;
    let find = |text: &str| messages.iter().find(|message| message.text() == text).unwrap();
    assert_eq!(find("hi").status(), DeliveryStatus::Delivered);
    assert_eq!(find("ho").status(), DeliveryStatus::Error);
    assert_eq!(find("ho").error.as_ref().map(|error| error.code.as_str()), Some("22"));
}

#[tokio::test]
async fn stickers_votes_and_app_cards_never_become_texts() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut card = bluebubbles_event("new-message", "G-9", "\u{fffd}");
    card["data"]["balloonBundleId"] = json!("com.example.card");
    let mut bodies = vec![card];
    for kind in [json!(2_007), json!("3007"), json!(4_000)] {
        let mut body = bluebubbles_event("new-message", "G-1", "a sticker or a vote");
        body["data"]["associatedMessageType"] = kind;
        body["data"]["associatedMessageGuid"] = json!("p:0/text-0");
        body["data"]["attachments"] = json!([{ "guid": "at_0", "mimeType": "image/heic" }]);
        bodies.push(body);
    }
    for mut body in bodies {
        for (kind, is_from_me) in [("new-message", false), ("updated-message", false), ("new-message", true)]
        {
            body["type"] = json!(kind);
            body["data"]["isFromMe"] = json!(is_from_me);
            assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "ignored");
        }
    }
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn other_events_are_acknowledged_and_not_stored() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut group = bluebubbles_event("new-message", "G-1", "one");
    group["data"]["chats"][0]["guid"] = json!("iMessage;+;chat1");
    let mut mail = bluebubbles_event("new-message", "G-2", "one");
    mail["data"]["handle"]["address"] = json!("someone@example.com");
    for body in [
        group,
        mail,
        bluebubbles_event("updated-message", "G-3", "edited"),
        json!({ "type": "typing-indicator", "data": { "display": true, "guid": "iMessage;-;+15551230001" } }),
        json!({ "type": "chat-read-status-changed", "data": { "chatGuid": "iMessage;-;+15551230001", "read": true } }),
        json!({ "type": "server-update", "data": "1.2.3" }),
    ] {
        assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "ignored");
    }
    assert_eq!(scene.rows("messages").await, 1);
}
