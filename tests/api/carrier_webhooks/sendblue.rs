use inkbox_imessage::domain::{CarrierKind, LineRole};
use inkbox_imessage::proto::MessageTransport;
use serde_json::json;

use super::{Scene, assert_answer, sendblue_echo, sendblue_text};
use crate::support::app::POOL_LINES;
use crate::support::assertions::assert_names_no_line;

#[tokio::test]
async fn a_text_reaches_the_agent_as_it_was_sent() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut body = sendblue_text(&talk.line, "E-1", "  Grüße 🎉 ");
    body["media_url"] = json!("https://storage.example/1.png");
    body["service"] = json!("SMS");
    assert_answer(&scene.sendblue(&body).await, 200, "stored");
    let messages = talk.messages().await;
    let message = messages.iter().find(|message| message.text() != "hello").unwrap();
    assert_eq!(message.text(), "  Grüße 🎉 ");
    assert_eq!(message.media[0].url, "https://storage.example/1.png");
    assert_eq!(message.transport(), MessageTransport::Sms);
    assert_eq!(message.created_at.map(|time| (time.seconds, time.nanos)), Some((1_767_323_045, 678_000_000)));
}

#[tokio::test]
async fn concurrent_redeliveries_store_a_text_once() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let body = sendblue_text(&talk.line, "E-1", "one");
    let answers = tokio::join!(
        scene.sendblue(&body),
        scene.sendblue(&body),
        scene.sendblue(&body),
        scene.sendblue(&body)
    );
    let mut results = [answers.0, answers.1, answers.2, answers.3].map(|answer| (answer.status, answer.body));
    results.sort();
    let duplicate = || (200, "duplicate".to_owned());
    assert_eq!(results, [duplicate(), duplicate(), duplicate(), (200, "stored".to_owned())]);
    assert_answer(&scene.sendblue(&body).await, 200, "duplicate");
    assert_eq!(talk.messages().await.len(), 2);
}

#[tokio::test]
async fn the_rpc_and_the_webhook_deduplicate_each_others_messages() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut text = scene.human.text(&talk.line, "one");
    text.provider_message_id = "E-1".to_owned();
    scene.human.router.receive_message(text).await.unwrap();
    assert_answer(&scene.sendblue(&sendblue_text(&talk.line, "E-1", "one")).await, 200, "duplicate");
    assert_eq!(talk.messages().await.len(), 2);
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut body = sendblue_text(&talk.line, "E-1", "one");
    body["new_in_2027"] = json!({ "deep": [1, null, { "er": true }] });
    body["plan"] = json!(["of", "another", "type"]);
    assert_answer(&scene.sendblue(&body).await, 200, "stored");
}

#[tokio::test]
async fn echoes_of_outbound_messages_are_not_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    for (status, result) in [
        ("SENT", "unknown_message"),
        ("DELIVERED", "unknown_message"),
        ("ERROR", "unknown_message"),
        ("SOMETHING_NEW", "ignored"),
    ] {
        let mut echo = sendblue_echo(&talk.line, "E-1", status);
        assert_answer(&scene.sendblue(&echo).await, 200, result);
        // Older bodies name only the human, so that they resemble an inbound message.
        echo.as_object_mut().unwrap().remove("from_number");
        assert_answer(&scene.sendblue(&echo).await, 200, result);
    }
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn groups_and_other_events_are_acknowledged_and_not_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut group = sendblue_text(&talk.line, "E-1", "one");
    group["group_id"] = json!("g-1");
    let mut many = sendblue_text(&talk.line, "E-2", "one");
    many["participants"] = json!(["+15551230001", "+15551230002", talk.line]);
    let typing = json!({ "number": "+15551230001", "from_number": talk.line, "is_typing": true });
    for body in [group, many, typing, json!({})] {
        assert_answer(&scene.sendblue(&body).await, 200, "ignored");
    }
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn a_number_that_is_no_line_with_sendblue_is_acknowledged_and_nothing_is_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    scene.talk().await;
    scene.app.add_line_with(POOL_LINES[1], LineRole::Pool, CarrierKind::BlueBubbles).await;
    scene.app.add_line(POOL_LINES[2], LineRole::Pool).await;
    for line in [POOL_LINES[1], POOL_LINES[2], "+19995550000"] {
        let answer = scene.sendblue(&sendblue_text(line, "E-1", "one")).await;
        assert_answer(&answer, 200, "no_such_line");
        assert_names_no_line(&answer);
    }
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn a_stranger_and_a_disabled_agent_are_acknowledged_and_nothing_is_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut stranger = sendblue_text(&talk.line, "E-1", "one");
    stranger["from_number"] = json!("+15551230099");
    assert_answer(&scene.sendblue(&stranger).await, 200, "not_connected");
    sqlx::query("UPDATE identities SET imessage_enabled = false").execute(&scene.app.pool).await.unwrap();
    let answer = scene.sendblue(&sendblue_text(&talk.line, "E-2", "two")).await;
    assert_answer(&answer, 200, "identity_disabled");
    assert_eq!(scene.rows("messages").await, 1);
}
