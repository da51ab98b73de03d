//! Texts that humans edit or take back.

use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::{GetMessageRequest, ListConversationsRequest, Message};
use serde_json::{Value, json};

use super::{HUMAN, Scene, Talk, assert_answer, bluebubbles_event};
use crate::messages::all_messages;
use crate::support::{invariants, rows};

/// When the human sent the text.
const SENT: i64 = 1_767_323_045_678;

fn edit(guid: &str, text: &str, seconds: i64) -> Value {
    let mut body = bluebubbles_event("updated-message", guid, text);
    body["data"].as_object_mut().unwrap().remove("chats");
    body["data"]["dateEdited"] = json!(SENT + seconds * 1_000);
    body
}

fn retraction(guid: &str, seconds: i64) -> Value {
    let mut body = edit(guid, "", seconds);
    body["data"]["dateRetracted"] = json!(SENT + seconds * 1_000);
    body
}

async fn says(scene: &Scene, talk: &Talk, guid: &str, text: &str) {
    let mut body = bluebubbles_event("new-message", guid, text);
    body["data"]["dateCreated"] = json!(scene.app.clock.now().timestamp_millis());
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "stored");
}

/// The newest message as the agent and as an admin sees it.
async fn newest(scene: &Scene, talk: &Talk) -> (Message, Message) {
    let seen = talk.messages().await.remove(0);
    let admin = scene.app.admin("org_a").await;
    let get = GetMessageRequest { message_id: seen.id.clone(), agent_identity_id: None };
    (seen, admin.get_message(get).await.unwrap().message.unwrap())
}

async fn preview(talk: &Talk) -> Option<String> {
    let listed = talk.agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    listed.conversations.into_iter().next().unwrap().latest_text
}

#[tokio::test]
async fn an_edit_replaces_the_text_and_only_an_admin_sees_the_words_before() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    says(&scene, &talk, "G-1", "at eihgt").await;
    let (before, _) = newest(&scene, &talk).await;
    assert_eq!((before.edited_at, before.original_text.as_deref()), (None, None));
    assert_answer(&scene.bluebubbles(&talk.line, &edit("G-1", "at eight", 20)).await, 200, "updated");
    for _ in 0..2 {
        let late = edit("G-1", "at eihgt!", 10);
        assert_answer(&scene.bluebubbles(&talk.line, &late).await, 200, "duplicate");
        let again = edit("G-1", "at eight", 20);
        assert_answer(&scene.bluebubbles(&talk.line, &again).await, 200, "duplicate");
    }
    let (agent, admin) = newest(&scene, &talk).await;
    assert_eq!((agent.text(), agent.original_text.as_deref()), ("at eight", None));
    assert_eq!((admin.text(), admin.original_text.as_deref()), ("at eight", Some("at eihgt")));
    assert_eq!(agent.edited_at.map(|at| at.seconds), Some(SENT / 1_000 + 20));
    assert!(agent.updated_at.unwrap().nanos != before.updated_at.unwrap().nanos);
    assert_eq!((agent.created_at, agent.retracted_at), (before.created_at, None));
    assert_eq!(preview(&talk).await.as_deref(), Some("at eight"));
    assert_answer(&scene.bluebubbles(&talk.line, &edit("G-1", "at nine", 30)).await, 200, "updated");
    let (agent, admin) = newest(&scene, &talk).await;
    assert_eq!((agent.text(), admin.original_text.as_deref()), ("at nine", Some("at eihgt")));
    let listed = all_messages(&scene.app.admin("org_a").await).await;
    assert_eq!(listed[0].original_text.as_deref(), Some("at eihgt"));
    assert_eq!(talk.messages().await[0].original_text, None);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn a_message_that_was_taken_back_has_no_text_and_stays_so() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    says(&scene, &talk, "G-1", "oops").await;
    assert_answer(&scene.bluebubbles(&talk.line, &retraction("G-1", 20)).await, 200, "updated");
    let mut file = edit("G-1", "oops again", 30);
    file["data"]["attachments"] = json!([{ "guid": "at_0", "mimeType": "image/png" }]);
    assert_answer(&scene.bluebubbles(&talk.line, &file).await, 200, "duplicate");
    let (agent, admin) = newest(&scene, &talk).await;
    assert_eq!((agent.text.as_deref(), agent.media.len(), agent.original_text.as_deref()), (None, 0, None));
    assert_eq!(admin.original_text.as_deref(), Some("oops"));
    assert_eq!(agent.retracted_at.map(|at| at.seconds), Some(SENT / 1_000 + 20));
    assert_eq!(preview(&talk).await, None);
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn a_retraction_without_a_time_of_its_own_is_known_by_the_missing_parts() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    says(&scene, &talk, "G-1", "oops").await;
    let mut body = edit("G-1", "", 20);
    body["data"]["partCount"] = json!(0);
    body["data"]["messageSummaryInfo"] = json!([{ "retractedParts": [0] }]);
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "updated");
    assert!(newest(&scene, &talk).await.0.retracted_at.is_some());
}

#[tokio::test]
async fn an_edit_of_an_unknown_message_is_not_stored() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    assert_answer(&scene.bluebubbles(&talk.line, &edit("G-9", "new", 20)).await, 200, "unknown_message");
    assert_answer(&scene.bluebubbles(&talk.line, &retraction("G-9", 20)).await, 200, "unknown_message");
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn an_edit_of_a_blocked_text_stays_hidden() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let admin = scene.app.admin("org_a").await;
    rows::block(&scene.app.pool, &scene.identity, HUMAN).await;
    let text = bluebubbles_event("new-message", "G-1", "hidden");
    assert_answer(&scene.bluebubbles(&talk.line, &text).await, 200, "stored_blocked");
    assert_answer(&scene.bluebubbles(&talk.line, &edit("G-1", "still", 20)).await, 200, "updated");
    assert_eq!(talk.messages().await.len(), 1);
    let blocked = all_messages(&admin).await;
    let blocked = blocked.iter().find(|message| message.is_blocked).unwrap();
    assert_eq!((blocked.text(), blocked.original_text()), ("still", "hidden"));
    invariants::hold(&scene.app).await;
}

#[tokio::test]
async fn retention_deletes_the_words_before_an_edit_as_well() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    says(&scene, &talk, "G-1", "one").await;
    assert_answer(&scene.bluebubbles(&talk.line, &edit("G-1", "two", 20)).await, 200, "updated");
    says(&scene, &talk, "G-2", "oops").await;
    assert_answer(&scene.bluebubbles(&talk.line, &retraction("G-2", 20)).await, 200, "updated");
    scene.app.clock.advance(TimeDelta::days(31));
    let bodies = Retention { bodies: Some(TimeDelta::days(30)), released: None, events: None, audit: None };
    cleanup::run_once(&scene.app.parts, bodies).await.unwrap();
    assert_answer(&scene.bluebubbles(&talk.line, &edit("G-1", "three", 30)).await, 200, "duplicate");
    let kept: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM messages WHERE text IS NOT NULL OR original_text IS NOT NULL",
    )
    .fetch_one(&scene.app.pool)
    .await
    .unwrap();
    assert_eq!(kept, 0);
    invariants::hold(&scene.app).await;
}
