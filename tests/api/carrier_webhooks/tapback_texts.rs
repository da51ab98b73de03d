use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::maintenance::cleanup;
use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, MessageDirection, Reaction, ReactionType,
};
use serde_json::json;

use super::{HUMAN, Scene, Talk, assert_answer, bluebubbles_event, sendblue_text};
use crate::messages::{all_messages, send, texts};
use crate::support::app::ROUTER_LINE;
use crate::support::human::Thread;
use crate::support::rows;

impl Scene {
    /// Delivers words, under this id, and asserts what became of them.
    pub(super) async fn says(&self, talk: &Talk, handle: &str, words: &str, result: &str) {
        let answer = self.sendblue(&sendblue_text(&talk.line, handle, words)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, result), "{words}");
    }
}

impl Talk {
    /// The live tapbacks on the message with this text.
    pub(super) async fn reactions_on(&self, text: &str) -> Vec<Reaction> {
        let messages = self.messages().await;
        let message = messages.iter().find(|message| message.text.as_deref().unwrap_or_default() == text);
        message.unwrap_or_else(|| panic!("no message {text:?}")).reactions.clone()
    }
}

#[tokio::test]
async fn a_tapback_in_words_is_put_on_the_message_that_it_quotes() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "see you at eight").await;
    send(&talk.agent, &talk.conversation_id, "bye").await;
    scene.says(&talk, "T-1", "Loved “see you at eight”", "tapback").await;
    scene.says(&talk, "T-2", "Liked “hello”", "tapback").await;
    scene.says(&talk, "T-3", "Reacted 🎉 to \"bye\"", "tapback").await;
    for (text, reaction, emoji) in [
        ("see you at eight", ReactionType::Love, None),
        ("hello", ReactionType::Like, None),
        ("bye", ReactionType::Custom, Some("🎉")),
    ] {
        let reactions = talk.reactions_on(text).await;
        assert_eq!(reactions.len(), 1, "{text}");
        assert_eq!(reactions[0].direction(), MessageDirection::Inbound);
        assert_eq!(
            (reactions[0].reaction(), reactions[0].custom_emoji.as_deref()),
            (reaction, emoji),
            "{text}"
        );
    }
    assert_eq!(
        texts(&talk.messages().await),
        ["bye", "see you at eight", "hello"],
        "none of it is a message"
    );
}

#[tokio::test]
async fn of_several_messages_that_read_so_the_newest_is_meant() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let first = send(&talk.agent, &talk.conversation_id, "ok").await.id;
    let second = send(&talk.agent, &talk.conversation_id, "ok").await.id;
    scene.says(&talk, "T-1", "Loved “ok”", "tapback").await;
    let find = async |id: &str| {
        talk.messages().await.into_iter().find(|message| message.id == id).unwrap().reactions.len()
    };
    assert_eq!((find(&first).await, find(&second).await), (0, 1));
    // Taken back is what is there to take back, though a newer one reads so too.
    let third = send(&talk.agent, &talk.conversation_id, "ok").await.id;
    scene.says(&talk, "T-2", "Removed a heart from “ok”", "tapback").await;
    assert_eq!((find(&first).await, find(&second).await, find(&third).await), (0, 0, 0));
}

#[tokio::test]
async fn a_quotation_that_was_cut_is_matched_by_its_beginning() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let long = "We meet at the corner of the market square, where the bakery was.";
    send(&talk.agent, &talk.conversation_id, long).await;
    send(&talk.agent, &talk.conversation_id, "We meet at the other corner.\n").await;
    scene.says(&talk, "T-1", "Questioned “We meet at the corner of …”", "tapback").await;
    assert_eq!(talk.reactions_on(long).await.len(), 1);
    // Signs that mean something in a pattern mean themselves.
    scene.says(&talk, "T-2", "Loved “We%…”", "stored").await;
    scene.says(&talk, "T-3", "Loved “We meet at the other corner.”", "tapback").await;
}

#[tokio::test]
async fn a_tapback_on_a_picture_is_put_on_the_newest_message_with_a_file() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut picture = sendblue_text(&talk.line, "E-1", "");
    picture["media_url"] = json!("https://storage.example/1.png");
    assert_answer(&scene.sendblue(&picture).await, 200, "stored");
    send(&talk.agent, &talk.conversation_id, "nice").await;
    scene.says(&talk, "T-1", "Loved an image", "tapback").await;
    assert_eq!(talk.reactions_on("").await[0].reaction(), ReactionType::Love);
}

#[tokio::test]
async fn words_that_quote_nothing_are_an_ordinary_text_and_stay_one() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    scene.says(&talk, "T-1", "Loved “see you at eight”", "stored").await;
    scene.says(&talk, "T-2", "Loved an image", "stored").await;
    // What it quotes is there now, but the text was stored.
    send(&talk.agent, &talk.conversation_id, "see you at eight").await;
    scene.says(&talk, "T-1", "Loved “see you at eight”", "duplicate").await;
    assert_eq!(talk.reactions_on("see you at eight").await.len(), 0);
    assert_eq!(scene.rows("messages").await, 4);
}

#[tokio::test]
async fn a_message_further_back_than_200_is_not_looked_at() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let thread = Thread { line: talk.line.clone(), connection_id: String::new() };
    for i in 0..199 {
        scene.human.says(&thread, &i.to_string()).await;
    }
    scene.says(&talk, "T-1", "Loved “hello”", "tapback").await;
    scene.human.says(&thread, "one more").await;
    scene.says(&talk, "T-2", "Liked “hello”", "stored").await;
}

#[tokio::test]
async fn a_redelivered_tapback_changes_nothing() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    scene.says(&talk, "T-1", "Loved “hello”", "tapback").await;
    scene.says(&talk, "T-1", "Loved “hello”", "duplicate").await;
    scene.says(&talk, "T-2", "Liked “hello”", "tapback").await;
    scene.says(&talk, "T-1", "Loved “hello”", "duplicate").await;
    assert_eq!(talk.reactions_on("hello").await[0].reaction(), ReactionType::Like);
    scene.says(&talk, "T-3", "Removed a like from “hello”", "tapback").await;
    for (handle, words) in
        [("T-1", "Loved “hello”"), ("T-2", "Liked “hello”"), ("T-3", "Removed a like from “hello”")]
    {
        scene.says(&talk, handle, words, "duplicate").await;
    }
    assert_eq!(talk.reactions_on("hello").await.len(), 0);
    // Nor is it a tapback on a later message that reads so.
    send(&talk.agent, &talk.conversation_id, "hello").await;
    scene.says(&talk, "T-1", "Loved “hello”", "duplicate").await;
    assert!(talk.messages().await.iter().all(|message| message.reactions.is_empty()));
    assert_eq!(scene.rows("messages").await, 2);
}

#[tokio::test]
async fn deliveries_of_one_tapback_at_the_same_time_make_one() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    for round in 0..5 {
        let body = sendblue_text(&talk.line, &format!("T-{round}"), "Loved “hello”");
        let answers = tokio::join!(scene.sendblue(&body), scene.sendblue(&body), scene.sendblue(&body));
        let mut results = [answers.0, answers.1, answers.2].map(|answer| answer.body);
        results.sort();
        assert_eq!(results, ["duplicate", "duplicate", "tapback"]);
        let removal = sendblue_text(&talk.line, &format!("R-{round}"), "Removed a heart from “hello”");
        assert_answer(&scene.sendblue(&removal).await, 200, "tapback");
    }
    assert_eq!((scene.rows("messages").await, scene.rows("reactions").await), (1, 5));
}

#[tokio::test]
async fn what_is_taken_back_late_leaves_a_newer_tapback_alone() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    scene.says(&talk, "T-1", "Loved “hello”", "tapback").await;
    scene.says(&talk, "T-2", "Liked “hello”", "tapback").await;
    scene.says(&talk, "T-3", "Removed a heart from “hello”", "duplicate").await;
    assert_eq!(talk.reactions_on("hello").await[0].reaction(), ReactionType::Like);
}

#[tokio::test]
async fn a_tapback_redelivered_after_the_human_moved_on_is_not_shown_to_the_next_agent() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    scene.says(&talk, "T-1", "Loved “hello”", "tapback").await;
    scene.says(&talk, "T-2", "Loved “a secret”", "stored").await;
    scene.human.disconnects(&scene.identity).await;
    let next = scene.app.identity("org_b").await;
    let (thread, _) = scene.human.converses(&next, "hi").await;
    assert_eq!(thread.line, talk.line);
    scene.says(&talk, "T-1", "Loved “hello”", "duplicate").await;
    scene.says(&talk, "T-2", "Loved “a secret”", "duplicate").await;
    let next = scene.app.agent(&next).await;
    assert_eq!(texts(&all_messages(&next).await), ["hi"]);
}

#[tokio::test]
async fn a_blocked_humans_tapback_is_kept_from_the_agent() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    rows::contact_rule(
        &scene.app.pool,
        &scene.identity,
        HUMAN,
        ContactRuleAction::Block,
        ContactRuleStatus::Active,
    )
    .await;
    scene.says(&talk, "T-1", "Loved “hello”", "stored_blocked").await;
    assert_eq!(texts(&talk.messages().await), ["hello"]);
    assert_eq!(talk.reactions_on("hello").await.len(), 0);
}

#[tokio::test]
async fn a_tapback_on_an_answer_of_the_router_line_asks_for_nothing() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let answer = scene.sendblue(&sendblue_text(ROUTER_LINE, "T-1", "Liked “You are connected to @a.”")).await;
    assert_answer(&answer, 200, "not_connected");
    assert!(scene.phone.sent().is_empty());
}

#[tokio::test]
async fn a_bluebubbles_tapback_of_an_unknown_kind_goes_by_its_words() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let mut body = bluebubbles_event("new-message", "G-1", "Reacted 🎉 to “hello”");
    body["data"]["associatedMessageType"] = json!(2_006);
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "tapback");
    assert_eq!(talk.reactions_on("hello").await[0].custom_emoji.as_deref(), Some("🎉"));
}

#[tokio::test]
async fn notes_of_tapbacks_go_after_a_week() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    scene.says(&talk, "T-1", "Loved “hello”", "tapback").await;
    cleanup::run_once(&scene.app.parts, cleanup::Retention::default()).await.unwrap();
    assert_eq!(scene.rows("tapback_texts").await, 1);
    scene.app.clock.advance(chrono::TimeDelta::days(8));
    cleanup::run_once(&scene.app.parts, cleanup::Retention::default()).await.unwrap();
    assert_eq!(scene.rows("tapback_texts").await, 0);
}
