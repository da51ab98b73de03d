//! Tapbacks in words of several languages and programs.

use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::proto::{Reaction, ReactionType};

use super::{Scene, assert_answer, bluebubbles_event};
use crate::messages::{send, texts};

#[tokio::test]
async fn a_tapback_in_any_language_is_put_on_the_message_that_it_quotes_and_removed() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let cases = [
        (
            "Bis gleich",
            "„Bis gleich“ ein Herz hinzugefügt",
            "Herz von „Bis gleich“ entfernt",
            ReactionType::Love,
        ),
        (
            "À demain",
            "A ajouté un «\u{a0}J’aime\u{a0}» à «\u{a0}À demain\u{a0}».",
            "A retiré son «\u{a0}J’aime\u{a0}» de «\u{a0}À demain\u{a0}».",
            ReactionType::Like,
        ),
        ("¿Vienes?", "Dudó sobre “¿Vienes?”", "Dejó de dudar sobre “¿Vienes?”", ReactionType::Question),
        ("また明日", "“また明日”に「笑」と応答", "“また明日”から「笑」を削除", ReactionType::Laugh),
        ("明天见", "比心：明天见", "收回了心：明天见", ReactionType::Love),
        ("내일 봐", "‘내일 봐’에 느낌표 표시", "‘내일 봐’에서 느낌표 표시 제거함", ReactionType::Emphasize),
    ];
    for (at, (text, added, removed, reaction)) in cases.into_iter().enumerate() {
        send(&talk.agent, &talk.conversation_id, text).await;
        scene.says(&talk, &format!("A-{at}"), added, "tapback").await;
        let reactions = talk.reactions_on(text).await;
        assert_eq!(reactions.iter().map(Reaction::reaction).collect::<Vec<_>>(), [reaction], "{added}");
        scene.says(&talk, &format!("R-{at}"), removed, "tapback").await;
        assert_eq!(talk.reactions_on(text).await.len(), 0, "{removed}");
    }
    assert_eq!(scene.rows("messages").await, 1 + 6, "none of it is a message");
}

#[tokio::test]
async fn a_sentence_that_quotes_a_message_is_a_text() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "ok").await;
    let sentences = [
        "I liked “ok” more",
        "Liked “ok” more than “no”",
        "“ok”",
        "Mir gefällt: „ok“",
        "我赞了：ok",
        "👍 “ok”",
    ];
    for (at, sentence) in sentences.into_iter().enumerate() {
        scene.says(&talk, &format!("T-{at}"), sentence, "stored").await;
    }
    assert_eq!(talk.reactions_on("ok").await.len(), 0);
    // Sendblue's example says that they were sent earlier than the rest.
    let mut expected = vec!["ok", "hello"];
    expected.extend(sentences.into_iter().rev());
    assert_eq!(texts(&talk.messages().await), expected);
}

#[tokio::test]
async fn a_reaction_of_google_messages_is_put_on_the_message_that_it_quotes() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "See you at 8").await;
    let added = "\u{200a}\u{200b}👍\u{200b} to “\u{200a}See you at 8\u{200a}”\u{200a}";
    scene.says(&talk, "T-1", added, "tapback").await;
    let [reaction] = &talk.reactions_on("See you at 8").await[..] else { panic!("one reaction") };
    assert_eq!((reaction.reaction(), reaction.custom_emoji.as_deref()), (ReactionType::Custom, Some("👍")));
    // The removal of another emoji is late.
    scene.says(&talk, "T-2", "Removed \u{200c}🎉\u{200c} from “\u{200a}See you…\u{200a}”", "duplicate").await;
    assert_eq!(talk.reactions_on("See you at 8").await.len(), 1);
    scene.says(&talk, "T-3", "Removed \u{200c}👍\u{200c} from “\u{200a}See you…\u{200a}”", "tapback").await;
    assert_eq!(talk.reactions_on("See you at 8").await.len(), 0);
    assert_eq!(texts(&talk.messages().await), ["See you at 8", "hello"]);
}

#[tokio::test]
async fn a_reaction_of_google_messages_to_an_unknown_message_is_a_text_without_invisible_characters() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let added = "\u{200a}\u{200b}👍\u{200b} to “\u{200a}Long ago\u{200a}”\u{200a}";
    let body = bluebubbles_event("new-message", "G-1", added);
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "stored");
    assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "duplicate");
    assert_eq!(texts(&talk.messages().await), ["hello", "👍 to “Long ago”"]);
    // Of other texts nothing is left out.
    let persian = bluebubbles_event("new-message", "G-2", "می\u{200c}خواهم");
    assert_answer(&scene.bluebubbles(&talk.line, &persian).await, 200, "stored");
    assert_eq!(texts(&talk.messages().await)[1], "می\u{200c}خواهم");
}

#[tokio::test]
async fn blanks_around_a_message_and_around_its_quotation_need_not_agree() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    send(&talk.agent, &talk.conversation_id, "\u{a0}נתראה בשמונה\u{200f}\n").await;
    scene.says(&talk, "T-1", "Loved “\u{2067}נתראה בשמונה\u{2069}”", "tapback").await;
    scene.says(&talk, "T-2", "Liked “נתראה…”", "tapback").await;
    assert_eq!(scene.rows("messages").await, 2);
}
