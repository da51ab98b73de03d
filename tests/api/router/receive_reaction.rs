use inkbox_imessage::proto::{
    MessageDirection, Reaction, ReactionType, ReceiveMessageRequest, ReceiveOutcome, ReceiveReactionRequest,
    ReceiveReactionResponse, UpdateIdentityRequest,
};

use crate::messages::{all_messages, send};
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::callers::Caller;
use crate::support::human::Thread;
use crate::support::{Human, Scene, TestApp, assert_fields, assert_reason, rows};

/// A tapback of a human on a text that a line knows under this id.
fn tapback(human: &Human, thread: &Thread, on: &str, reaction: ReactionType) -> ReceiveReactionRequest {
    ReceiveReactionRequest {
        line_number: thread.line.clone(),
        remote_number: human.number.clone(),
        target_provider_message_id: on.to_owned(),
        reaction: reaction.into(),
        ..Default::default()
    }
}

/// Connects and texts; gives the thread and the text.
async fn opened(
    human: &Human,
    identity: &inkbox_imessage::proto::Identity,
) -> (Thread, ReceiveMessageRequest) {
    let thread = human.connects(identity).await;
    let text = human.text(&thread.line, "hello");
    human.router.receive_message(text.clone()).await.unwrap();
    (thread, text)
}

async fn receive(human: &Human, request: &ReceiveReactionRequest) -> ReceiveReactionResponse {
    human.router.receive_reaction(request.clone()).await.unwrap()
}

async fn shown(caller: &Caller) -> Vec<Reaction> {
    all_messages(caller).await.into_iter().flat_map(|message| message.reactions).collect()
}

/// How many reactions there are, live or not.
async fn stored(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM reactions").fetch_one(&app.pool).await.unwrap()
}

#[tokio::test]
async fn a_reaction_is_stored_on_the_humans_own_text_and_on_one_of_the_agent() {
    let Scene { app: _app, human, thread, text, agent, .. } = Scene::start().await;
    let conversation_id = all_messages(&agent).await[0].conversation_id.clone();
    let sent = send(&agent, &conversation_id, "hi").await;
    // The sandbox knows a message under our own id.
    for on in [&text.provider_message_id, &sent.id] {
        let request =
            ReceiveReactionRequest { part_index: 2, ..tapback(&human, &thread, on, ReactionType::Love) };
        let answer = receive(&human, &request).await;
        assert_eq!(answer.outcome(), ReceiveOutcome::Stored);
        let found =
            shown(&agent).await.into_iter().find(|r| Some(&r.id) == answer.reaction_id.as_ref()).unwrap();
        assert_eq!(found.direction(), MessageDirection::Inbound);
        assert_eq!((found.reaction(), found.part_index), (ReactionType::Love, 2));
        assert_eq!(found.conversation_id, conversation_id);
    }
}

#[tokio::test]
async fn a_second_delivery_changes_nothing_and_another_reaction_replaces() {
    let Scene { app: _app, human, thread, text, agent, .. } = Scene::start().await;
    let love = tapback(&human, &thread, &text.provider_message_id, ReactionType::Love);
    let first = receive(&human, &love).await;
    let again = receive(&human, &love).await;
    assert_eq!((again.outcome(), &again.reaction_id), (ReceiveOutcome::Duplicate, &first.reaction_id));
    let like = tapback(&human, &thread, &text.provider_message_id, ReactionType::Like);
    let second = receive(&human, &like).await;
    assert_eq!(second.outcome(), ReceiveOutcome::Stored);
    let ids: Vec<_> = shown(&agent).await.into_iter().map(|reaction| Some(reaction.id)).collect();
    assert_eq!(ids, [second.reaction_id]);
}

#[tokio::test]
async fn a_custom_reaction_keeps_its_emoji_and_another_emoji_replaces_it() {
    let Scene { app: _app, human, thread, text, agent, .. } = Scene::start().await;
    for emoji in ["\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}", "\u{1F98A}"] {
        let request = ReceiveReactionRequest {
            custom_emoji: Some(emoji.to_owned()),
            ..tapback(&human, &thread, &text.provider_message_id, ReactionType::Custom)
        };
        assert_eq!(receive(&human, &request).await.outcome(), ReceiveOutcome::Stored);
        let [reaction] = &shown(&agent).await[..] else { panic!("one live reaction") };
        assert_eq!(reaction.reaction(), ReactionType::Custom);
        assert_eq!(reaction.custom_emoji.as_deref(), Some(emoji));
    }
}

#[tokio::test]
async fn a_reaction_that_is_taken_back_is_gone_and_a_second_time_changes_nothing() {
    let Scene { app: _app, human, thread, text, agent, .. } = Scene::start().await;
    let love = tapback(&human, &thread, &text.provider_message_id, ReactionType::Love);
    let put = receive(&human, &love).await;
    let back = ReceiveReactionRequest { removed: true, ..love };
    let taken = receive(&human, &back).await;
    assert_eq!((taken.outcome(), taken.reaction_id), (ReceiveOutcome::Stored, put.reaction_id));
    assert_eq!(shown(&agent).await, []);
    let again = receive(&human, &back).await;
    assert_eq!((again.outcome(), again.reaction_id), (ReceiveOutcome::Duplicate, None));
}

#[tokio::test]
async fn a_late_removal_ends_only_the_reaction_that_it_names() {
    let Scene { app: _app, human, thread, text, agent, .. } = Scene::start().await;
    let on = |kind| tapback(&human, &thread, &text.provider_message_id, kind);
    let removal = |request| ReceiveReactionRequest { removed: true, ..request };
    receive(&human, &on(ReactionType::Love)).await;
    let like = receive(&human, &on(ReactionType::Like)).await;
    // The removal of LOVE was under way when the human chose LIKE.
    let late = receive(&human, &removal(on(ReactionType::Love))).await;
    assert_eq!((late.outcome(), late.reaction_id), (ReceiveOutcome::Duplicate, None));
    let [current] = &shown(&agent).await[..] else { panic!("one live reaction") };
    assert_eq!((current.reaction(), Some(&current.id)), (ReactionType::Like, like.reaction_id.as_ref()));
    // A part of its own has reactions of its own.
    let other_part = ReceiveReactionRequest { part_index: 1, ..on(ReactionType::Like) };
    assert_eq!(receive(&human, &removal(other_part)).await.outcome(), ReceiveOutcome::Duplicate);
    let emoji = |emoji: &str| ReceiveReactionRequest {
        custom_emoji: Some(emoji.to_owned()),
        ..on(ReactionType::Custom)
    };
    receive(&human, &emoji("\u{1F98A}")).await;
    let other = receive(&human, &removal(emoji("\u{1F388}"))).await;
    assert_eq!((other.outcome(), other.reaction_id), (ReceiveOutcome::Duplicate, None));
    assert_eq!(shown(&agent).await[0].custom_emoji.as_deref(), Some("\u{1F98A}"));
    assert_eq!(receive(&human, &removal(emoji("\u{1F98A}"))).await.outcome(), ReceiveOutcome::Stored);
    assert_eq!(shown(&agent).await, []);
}

#[tokio::test]
async fn a_blocked_humans_reaction_is_not_recorded_at_all() {
    let Scene { app, identity, human, thread, text, .. } = Scene::start().await;
    let love = tapback(&human, &thread, &text.provider_message_id, ReactionType::Love);
    rows::block(&app.pool, &identity, &human.number).await;
    let answer = receive(&human, &love).await;
    assert_ne!(answer.outcome(), ReceiveOutcome::Stored);
    assert_eq!(answer.reaction_id, None);
    rows::remove_rules(&app.pool, &identity).await;
    assert_eq!(stored(&app).await, 0);
    assert_eq!(shown(&app.admin("org_a").await).await, []);
    // Nor is the end of one that was put before.
    receive(&human, &love).await;
    rows::block(&app.pool, &identity, &human.number).await;
    receive(&human, &ReceiveReactionRequest { removed: true, ..love }).await;
    assert_eq!(shown(&app.agent(&identity).await).await.len(), 1);
}

#[tokio::test]
async fn a_reaction_to_a_disabled_identity_or_without_a_connection_is_dropped() {
    let Scene { app, identity, human, thread, text, admin, .. } = Scene::start().await;
    let love = tapback(&human, &thread, &text.provider_message_id, ReactionType::Love);
    let enable = |enabled| UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        imessage_enabled: Some(enabled),
        ..Default::default()
    };
    admin.update_identity(enable(false)).await.unwrap();
    assert_eq!(receive(&human, &love).await.outcome(), ReceiveOutcome::IdentityDisabled);
    admin.update_identity(enable(true)).await.unwrap();
    human.disconnects(&identity).await;
    assert_eq!(receive(&human, &love).await.outcome(), ReceiveOutcome::NotConnected);
    assert_eq!(stored(&app).await, 0);
}

#[tokio::test]
async fn what_the_line_does_not_know_between_the_two_is_not_found() {
    let app = TestApp::start().await;
    let (identity, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = opened(&human, &identity).await;
    // Lines are given least loaded first: three others, one of whom shares the first one's line.
    let mut texts = Vec::new();
    for (n, identity) in
        [&identity, &foreign, &identity, &foreign, &identity, &foreign].into_iter().enumerate()
    {
        let other = Human::new(&app, &format!("+1555123001{n}")).await;
        texts.push(opened(&other, identity).await);
    }
    let (shared, _): (Vec<_>, Vec<_>) = texts.iter().partition(|(other, _)| other.line == thread.line);
    assert!(!shared.is_empty());
    for (_, text) in shared {
        let on = tapback(&human, &thread, &text.provider_message_id, ReactionType::Like);
        assert_reason(human.router.receive_reaction(on).await, "NOT_FOUND");
    }
    let unknown = tapback(&human, &thread, "never heard of", ReactionType::Like);
    assert_reason(human.router.receive_reaction(unknown.clone()).await, "NOT_FOUND");
    let line = ReceiveReactionRequest { line_number: "+12025550199".to_owned(), ..unknown };
    assert_reason(human.router.receive_reaction(line).await, "NOT_FOUND");
    assert_eq!(stored(&app).await, 0);
}

#[tokio::test]
async fn a_line_on_which_the_human_is_not_connected_takes_no_reaction() {
    let Scene { app, human, thread, text, .. } = Scene::start().await;
    let other = POOL_LINES.iter().find(|line| **line != thread.line).unwrap();
    let love = tapback(&human, &thread, &text.provider_message_id, ReactionType::Love);
    for line in [*other, ROUTER_LINE] {
        let request = ReceiveReactionRequest { line_number: line.to_owned(), ..love.clone() };
        assert_eq!(receive(&human, &request).await.outcome(), ReceiveOutcome::NotConnected);
    }
    assert_eq!(stored(&app).await, 0);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = ReceiveReactionRequest { part_index: -1, ..Default::default() };
    let good = ReceiveReactionRequest {
        line_number: POOL_LINES[0].to_owned(),
        remote_number: "+15551230001".to_owned(),
        target_provider_message_id: "text".to_owned(),
        reaction: ReactionType::Love.into(),
        ..Default::default()
    };
    for caller in [app.router().await, app.admin("org_a").await, app.agent(&identity).await] {
        let fields = ["line_number", "remote_number", "target_provider_message_id", "reaction", "part_index"];
        assert_fields(caller.receive_reaction(bad.clone()).await, &fields);
        let emoji_of_love =
            ReceiveReactionRequest { custom_emoji: Some("\u{1F98A}".to_owned()), ..good.clone() };
        let no_emoji = ReceiveReactionRequest { reaction: ReactionType::Custom.into(), ..good.clone() };
        let empty = ReceiveReactionRequest { custom_emoji: Some(String::new()), ..no_emoji.clone() };
        for request in [emoji_of_love, no_emoji, empty] {
            assert_fields(caller.receive_reaction(request).await, &["custom_emoji"]);
        }
        let unknown = ReceiveReactionRequest { reaction: 9, ..good.clone() };
        assert_fields(caller.receive_reaction(unknown).await, &["reaction"]);
    }
    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        assert_reason(caller.receive_reaction(good.clone()).await, "SCOPE_INSUFFICIENT");
    }
    assert_reason(app.stranger().receive_reaction(bad).await, "API_KEY_INVALID");
}
