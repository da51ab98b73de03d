use inkbox_imessage::domain::CarrierKind;
use serde_json::json;

use super::{HUMAN, Scene, assert_answer, bluebubbles_event, sendblue_text};
use crate::support::app::ROUTER_LINE;
use crate::support::phone_line::{SentText, UNREACHABLE};

fn reply(text: &str) -> SentText {
    SentText { line: ROUTER_LINE.to_owned(), to: HUMAN.to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn a_command_is_executed_and_its_reply_is_sent_from_the_router_line() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let handle = &scene.identity.agent_handle;
    for (id, words, result) in [
        ("C-1", format!("connect @{handle}"), "connected"),
        ("C-2", "list".to_owned(), "help"),
        ("C-3", format!("disconnect @{handle}"), "disconnected"),
        ("C-4", "connect @nobody".to_owned(), "refused"),
    ] {
        assert_answer(&scene.sendblue(&sendblue_text(ROUTER_LINE, id, &words)).await, 200, result);
    }
    let sent = scene.phone.sent();
    assert_eq!(
        sent,
        [
            reply(&format!("You are connected to @{handle}. Say hello in the new thread.")),
            reply(&format!("You are connected to: @{handle}.")),
            reply(&format!("You are no longer connected to @{handle}.")),
            reply("Sorry, that agent cannot be reached. Please check the handle and try again."),
        ]
    );
}

#[tokio::test]
async fn a_redelivered_command_gets_one_reply() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let body = sendblue_text(ROUTER_LINE, "C-1", &format!("connect {}", scene.identity.agent_handle));
    assert_answer(&scene.sendblue(&body).await, 200, "connected");
    assert_answer(&scene.sendblue(&body).await, 200, "duplicate");
    let answers = tokio::join!(scene.sendblue(&body), scene.sendblue(&body));
    assert_eq!((answers.0.body.as_str(), answers.1.body.as_str()), ("duplicate", "duplicate"));
    assert_eq!(scene.phone.sent().len(), 1);
    assert_eq!(scene.rows("connections").await, 1);
}

#[tokio::test]
async fn a_reply_that_cannot_be_sent_does_not_change_the_response_to_the_carrier() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let mut body = sendblue_text(ROUTER_LINE, "C-1", &format!("connect {}", scene.identity.agent_handle));
    body["from_number"] = json!(UNREACHABLE);
    assert_answer(&scene.sendblue(&body).await, 200, "connected");
    assert_answer(&scene.sendblue(&body).await, 200, "duplicate");
    assert_eq!((scene.phone.sent().len(), scene.rows("connections").await), (1, 1));
}

#[tokio::test]
async fn a_text_to_an_agent_gets_no_reply() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    assert_answer(&scene.sendblue(&sendblue_text(&talk.line, "E-1", "list")).await, 200, "stored");
    assert!(scene.phone.sent().is_empty());
}

#[tokio::test]
async fn a_mac_can_be_the_router_line_too() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let handle = &scene.identity.agent_handle;
    let body = bluebubbles_event("new-message", "G-1", &format!("connect @{handle}"));
    assert_answer(&scene.bluebubbles(ROUTER_LINE, &body).await, 200, "connected");
    assert_answer(&scene.bluebubbles(ROUTER_LINE, &body).await, 200, "duplicate");
    assert_eq!(scene.phone.sent().len(), 1);
}
