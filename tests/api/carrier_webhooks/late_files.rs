//! Files that arrive after their message.

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::{CarrierKind, Media, PhoneNumber, Transport};
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::messaging::inbound::{Change, receive_update};
use inkbox_imessage::proto::{ListConversationsRequest, Message, MessageTransport};
use inkbox_imessage::server::Settings;
use inkbox_imessage::store::inbound::InboundText;
use serde_json::{Value, json};

use super::{HUMAN, Scene, Talk, assert_answer, bluebubbles_event, sendblue_text};
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::{TestApp, invariants};

/// An update as a server serializes it, without chats, with these files.
fn update(guid: &str, text: &str, files: &[&str]) -> Value {
    let mut body = bluebubbles_event("updated-message", guid, text);
    body["data"].as_object_mut().unwrap().remove("chats");
    with_files(body, files)
}

fn with_files(mut body: Value, files: &[&str]) -> Value {
    let file = |guid: &&str| json!({ "guid": guid, "mimeType": "image/jpeg", "totalBytes": 482_113 });
    body["data"]["attachments"] = files.iter().map(file).collect();
    body
}

fn urls(message: &Message) -> Vec<&str> {
    message.media.iter().map(|file| file.url.trim_start_matches("bluebubbles:attachment/")).collect()
}

async fn preview(talk: &Talk) -> (Option<String>, bool, i32) {
    let listed = talk.agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    let latest = listed.conversations.into_iter().next().unwrap();
    (latest.latest_text, latest.latest_has_media, latest.total_count)
}

#[tokio::test]
async fn a_photo_alone_is_stored_when_its_file_arrives() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut empty = bluebubbles_event("new-message", "G-1", "");
    empty["data"]["chats"][0]["guid"] = json!(format!("SMS;-;{HUMAN}"));
    assert_answer(&scene.bluebubbles(&talk.line, &empty).await, 200, "awaits_files");
    assert_eq!(preview(&talk).await.2, 1);
    let photo = update("G-1", "", &["at_0"]);
    assert_answer(&scene.bluebubbles(&talk.line, &photo).await, 200, "stored");
    for _ in 0..2 {
        assert_answer(&scene.bluebubbles(&talk.line, &photo).await, 200, "duplicate");
    }
    let messages = talk.messages().await;
    assert_eq!(messages.len(), 2);
    let stored = messages.iter().find(|message| !message.media.is_empty()).unwrap();
    assert_eq!(urls(stored), ["at_0"]);
    assert_eq!(stored.transport(), MessageTransport::Imessage);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn another_replica_stores_the_photo_and_its_deliveries_at_once_store_it_once() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let empty = bluebubbles_event("new-message", "G-1", "");
    assert_answer(&scene.bluebubbles(&talk.line, &empty).await, 200, "awaits_files");
    let carriers = scene.phone.settings(CarrierKind::BlueBubbles, &[ROUTER_LINE, POOL_LINES[0]]);
    let replica = TestApp::builder()
        .database(scene.app.options.clone())
        .settings(|settings: &mut Settings| settings.lines = carriers)
        .launch()
        .await;
    replica.until_ready().await;
    let parsed = |url: &str| InboundText {
        line_number: PhoneNumber::parse(&talk.line).unwrap(),
        remote_number: PhoneNumber::parse(HUMAN).unwrap(),
        text: None,
        media: vec![Media { url: url.to_owned(), content_type: None, size_bytes: None }],
        provider_message_id: "G-1".to_owned(),
        sent_at: replica.clock.now(),
        transport: Transport::IMessage,
        chat: None,
        reply_to: None,
    };
    let urls_of = ["bluebubbles:attachment/at_0", "bluebubbles:attachment/at_1"];
    let deliveries = (0..8).map(|n| {
        let text = parsed(urls_of[n % 2]);
        let parts = if n < 4 { replica.parts.clone() } else { scene.app.parts.clone() };
        async move { receive_update(&parts, &text, Change::default()).await.unwrap() }
    });
    futures_util::future::join_all(deliveries).await;
    let messages = talk.messages().await;
    let stored = messages.iter().find(|message| !message.media.is_empty()).unwrap();
    let mut stored = urls(stored);
    stored.sort_unstable();
    assert_eq!((messages.len(), stored), (2, vec!["at_0", "at_1"]));
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn a_photo_gets_the_caption_that_arrives_later_and_the_preview_follows() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut photo = with_files(bluebubbles_event("new-message", "G-1", ""), &["at_0"]);
    photo["data"]["dateCreated"] = json!(scene.app.clock.now().timestamp_millis());
    assert_answer(&scene.bluebubbles(&talk.line, &photo).await, 200, "stored");
    for (words, result) in [("look", "updated"), ("look", "duplicate"), ("another", "duplicate")] {
        let body = update("G-1", words, &["at_0"]);
        assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, result);
        assert_eq!(preview(&talk).await, (Some("look".to_owned()), true, 2));
    }
    let body = update("G-1", "only words", &[]);
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "duplicate");
    assert_eq!(talk.messages().await[0].text(), "look");
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn a_caption_gets_its_photo_and_the_preview_follows() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut caption = bluebubbles_event("new-message", "G-1", "look");
    caption["data"]["dateCreated"] = json!(scene.app.clock.now().timestamp_millis());
    assert_answer(&scene.bluebubbles(&talk.line, &caption).await, 200, "stored");
    assert_eq!(preview(&talk).await, (Some("look".to_owned()), false, 2));
    let before = talk.messages().await.remove(0);
    for (body, result, files) in [
        (update("G-1", "look", &["at_0"]), "updated", vec!["at_0"]),
        (update("G-1", "look", &["at_0"]), "duplicate", vec!["at_0"]),
        (with_files(caption.clone(), &["at_0", "at_1"]), "updated", vec!["at_0", "at_1"]),
        (with_files(caption.clone(), &[]), "duplicate", vec!["at_0", "at_1"]),
        (update("G-1", "", &[]), "ignored", vec!["at_0", "at_1"]),
    ] {
        assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, result);
        let message = talk.messages().await.remove(0);
        assert_eq!((message.text(), urls(&message)), ("look", files), "{body}");
        assert!(message.updated_at.unwrap().seconds >= before.updated_at.unwrap().seconds);
    }
    assert_eq!(preview(&talk).await, (Some("look".to_owned()), true, 2));
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn files_of_a_redelivered_text_of_sendblue_are_added_once() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut text = sendblue_text(&talk.line, "H-1", "look");
    assert_answer(&scene.sendblue(&text).await, 200, "stored");
    text["media_url"] = json!("https://files.example/1.png?signature=a");
    assert_answer(&scene.sendblue(&text).await, 200, "updated");
    text["media_url"] = json!("https://files.example/1.png?signature=b");
    assert_answer(&scene.sendblue(&text).await, 200, "duplicate");
    let messages = talk.messages().await;
    let stored = messages.iter().find(|message| message.text() == "look").unwrap();
    assert_eq!(urls(stored), ["https://files.example/1.png?signature=a"]);
}

#[tokio::test]
async fn an_update_alone_never_creates_a_message() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    // A group's, whose second delivery does not name the chat.
    let mut group = bluebubbles_event("new-message", "G-1", "");
    group["data"]["chats"][0] = json!({ "guid": "any;+;chat66", "style": 43 });
    assert_answer(&scene.bluebubbles(&talk.line, &group).await, 200, "ignored");
    assert_answer(
        &scene.bluebubbles(&talk.line, &update("G-1", "", &["at_0"])).await,
        200,
        "unknown_message",
    );
    // Another sender than that of the empty message.
    let empty = bluebubbles_event("new-message", "G-2", "");
    assert_answer(&scene.bluebubbles(&talk.line, &empty).await, 200, "awaits_files");
    let mut stranger = update("G-2", "", &["at_0"]);
    stranger["data"]["handle"]["address"] = json!("+15551239999");
    assert_answer(&scene.bluebubbles(&talk.line, &stranger).await, 200, "unknown_message");
    // Somebody who is not connected.
    let mut unconnected = empty.clone();
    unconnected["data"]["handle"]["address"] = json!("+15551239999");
    assert_answer(&scene.bluebubbles(&talk.line, &unconnected).await, 200, "ignored");
    assert_answer(&scene.bluebubbles(&talk.line, &stranger).await, 200, "unknown_message");
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn another_senders_update_does_not_change_a_message() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let text = bluebubbles_event("new-message", "G-1", "mine");
    assert_answer(&scene.bluebubbles(&talk.line, &text).await, 200, "stored");
    let other = crate::support::Human::new(&scene.app, "+15551230002").await;
    other.connects(&scene.identity).await;
    let mut update = update("G-1", "mine", &["at_0"]);
    update["data"]["handle"]["address"] = json!("+15551230002");
    assert_answer(&scene.bluebubbles(&talk.line, &update).await, 200, "unknown_message");
    assert!(talk.messages().await.iter().all(|message| message.media.is_empty()));
}

#[tokio::test]
async fn an_empty_message_is_forgotten_after_a_day() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let empty = bluebubbles_event("new-message", "G-1", "");
    assert_answer(&scene.bluebubbles(&talk.line, &empty).await, 200, "awaits_files");
    scene.app.clock.advance(chrono::TimeDelta::hours(25));
    assert_answer(
        &scene.bluebubbles(&talk.line, &update("G-1", "", &["at_0"])).await,
        200,
        "unknown_message",
    );
    cleanup::run_once(&scene.app.parts, Retention::default()).await.unwrap();
    assert_eq!(scene.rows("awaited_files").await, 0);
}

#[tokio::test]
async fn a_redacted_message_gets_no_files() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let text = bluebubbles_event("new-message", "G-1", "old");
    assert_answer(&scene.bluebubbles(&talk.line, &text).await, 200, "stored");
    scene.app.clock.advance(chrono::TimeDelta::days(31));
    let bodies =
        Retention { bodies: Some(chrono::TimeDelta::days(30)), released: None, events: None, audit: None };
    cleanup::run_once(&scene.app.parts, bodies).await.unwrap();
    assert_answer(&scene.bluebubbles(&talk.line, &update("G-1", "old", &["at_0"])).await, 200, "duplicate");
    assert!(talk.messages().await.iter().all(|message| message.text.is_none() && message.media.is_empty()));
    invariants::hold(&scene.app).await;
}
