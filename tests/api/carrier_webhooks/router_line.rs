use std::time::Duration;

use chrono::TimeDelta;
use inkbox_imessage::domain::CarrierKind;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{HUMAN, Scene, assert_answer, bluebubbles_event, sendblue_text};
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::locks::{commit, locking};
use crate::support::phone_line::{SentText, UNREACHABLE};
use crate::support::{TestApp, eventually};

fn reply(text: &str) -> SentText {
    SentText { line: ROUTER_LINE.to_owned(), to: HUMAN.to_owned(), text: text.to_owned() }
}

/// What was sent from the router line, once no reply is left to be sent.
async fn replies(scene: &Scene) -> Vec<SentText> {
    eventually("every reply is sent", async || {
        let due = "SELECT count(*) FROM router_replies WHERE due_at IS NOT NULL";
        let due: i64 = sqlx::query_scalar(due).fetch_one(&scene.app.pool).await.unwrap();
        (due == 0).then_some(())
    })
    .await;
    scene.phone.sent()
}

fn from(number: &str, mut body: Value) -> Value {
    body["from_number"] = json!(number);
    body["number"] = json!(number);
    body
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
        replies(&scene).await;
    }
    assert_eq!(
        replies(&scene).await,
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
    assert_eq!(replies(&scene).await.len(), 1);
    assert_eq!(scene.rows("connections").await, 1);
}

#[tokio::test]
async fn a_reply_that_cannot_be_sent_does_not_change_the_response_to_the_carrier() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let mut body = sendblue_text(ROUTER_LINE, "C-1", &format!("connect {}", scene.identity.agent_handle));
    body["from_number"] = json!(UNREACHABLE);
    assert_answer(&scene.sendblue(&body).await, 200, "connected");
    assert_answer(&scene.sendblue(&body).await, 200, "duplicate");
    assert_eq!((replies(&scene).await.len(), scene.rows("connections").await), (1, 1));
}

#[tokio::test]
async fn a_text_to_an_agent_gets_no_reply() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    assert_answer(&scene.sendblue(&sendblue_text(&talk.line, "E-1", "list")).await, 200, "stored");
    assert!(replies(&scene).await.is_empty());
}

#[tokio::test]
async fn a_mac_can_be_the_router_line_too() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let handle = &scene.identity.agent_handle;
    let body = bluebubbles_event("new-message", "G-1", &format!("connect @{handle}"));
    assert_answer(&scene.bluebubbles(ROUTER_LINE, &body).await, 200, "connected");
    assert_answer(&scene.bluebubbles(ROUTER_LINE, &body).await, 200, "duplicate");
    assert_eq!(replies(&scene).await.len(), 1);
}

#[tokio::test]
async fn a_webhook_is_answered_before_its_reply_is_sent() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let closed = scene.phone.gate().lock_owned().await;
    for n in 0..3 {
        assert_answer(
            &scene.sendblue(&sendblue_text(ROUTER_LINE, &format!("C-{n}"), "list")).await,
            200,
            "help",
        );
    }
    let on_their_way =
        eventually("all replies are on their way", async || (scene.phone.sent().len() == 3).then_some(()));
    // They do not wait for the task that looks for what was left over, every fifteen seconds.
    timeout(Duration::from_secs(10), on_their_way).await.expect("the task was woken");
    drop(closed);
    assert_eq!(replies(&scene).await.len(), 3);
}

#[tokio::test]
async fn a_reply_that_a_crash_left_over_is_sent_by_another_process() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    assert_answer(&scene.sendblue(&sendblue_text(ROUTER_LINE, "C-1", "list")).await, 200, "help");
    assert_eq!(replies(&scene).await.len(), 1);
    // As a process leaves it that ends between the command and its reply.
    sqlx::query("UPDATE router_replies SET due_at = created_at").execute(&scene.app.pool).await.unwrap();
    let carriers = scene.phone.settings(CarrierKind::Sendblue, &[ROUTER_LINE, POOL_LINES[0]]);
    let other = TestApp::builder()
        .database(scene.app.options.clone())
        .settings(|settings| settings.lines = carriers)
        .start()
        .await;
    assert_eq!(replies(&scene).await.len(), 2);

    // Ten minutes later nobody waits for it.
    sqlx::query("UPDATE router_replies SET due_at = created_at").execute(&scene.app.pool).await.unwrap();
    scene.app.clock.advance(TimeDelta::minutes(11));
    assert_answer(&scene.sendblue(&sendblue_text(ROUTER_LINE, "C-2", "list")).await, 200, "help");
    eventually("the new one is sent", async || (scene.phone.sent().len() == 3).then_some(())).await;
    other.stop.cancel();
    other.until_stopped().await;
}

#[tokio::test]
async fn help_and_each_refusal_are_given_to_a_human_at_most_once_in_five_minutes() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let says = async |number: &str, id: &str, words: &str, result: &str| {
        let body = from(number, sendblue_text(ROUTER_LINE, id, words));
        assert_answer(&scene.sendblue(&body).await, 200, result);
    };
    for n in 0..3 {
        says(HUMAN, &format!("A-{n}"), "I am driving", "help").await;
    }
    assert_eq!(replies(&scene).await.len(), 1);
    says("+15551230002", "B-1", "hello?", "help").await;
    says(HUMAN, "A-4", "list", "help").await;
    for n in 5..8 {
        says(HUMAN, &format!("A-{n}"), "connect @nobody", "refused").await;
    }
    assert_eq!(replies(&scene).await.len(), 4, "others, and commands, are answered");
    scene.app.clock.advance(TimeDelta::minutes(6));
    says(HUMAN, "A-8", "I am driving", "help").await;
    says(HUMAN, "A-9", "connect @nobody", "refused").await;
    assert_eq!(replies(&scene).await.len(), 6);
}

#[tokio::test]
async fn a_reply_that_another_process_is_taking_holds_up_no_other() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let closed = scene.phone.gate().lock_owned().await;
    assert_answer(&scene.sendblue(&sendblue_text(ROUTER_LINE, "C-1", "list")).await, 200, "help");
    eventually("it is on its way", async || (scene.phone.sent().len() == 1).then_some(())).await;
    sqlx::query("UPDATE router_replies SET due_at = created_at").execute(&scene.app.pool).await.unwrap();
    let taking = locking(&scene.app, "BEGIN; SELECT FROM router_replies FOR UPDATE").await;
    assert_answer(&scene.sendblue(&sendblue_text(ROUTER_LINE, "C-2", "list")).await, 200, "help");
    eventually("the other one is sent", async || (scene.phone.sent().len() == 2).then_some(())).await;
    commit(taking).await;
    drop(closed);
}
