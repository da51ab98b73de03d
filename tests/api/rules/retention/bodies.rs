use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::{
    ConversationSummary, GetMessageRequest, ListConversationsRequest, MarkConversationReadRequest, Message,
    ReactionType, ReceiveMessageRequest,
};
use prost_types::Timestamp;
use sqlx::raw_sql;

use super::{BODIES, clean_up};
use crate::messages::{all_messages, deliveries, messages_of, send, texts};
use crate::support::callers::Caller;
use crate::support::history::{History, add_texts};
use crate::support::snapshot::{everything, numbers};
use crate::support::{Human, TestApp, invariants};

async fn conversations(admin: &Caller, is_blocked: Option<bool>) -> Vec<ConversationSummary> {
    let request = ListConversationsRequest { is_blocked, ..Default::default() };
    admin.list_conversations(request).await.unwrap().conversations
}

/// A message without its body.
fn silent(message: &Message) -> Message {
    let mut silent = Message { text: None, media: Vec::new(), updated_at: None, ..message.clone() };
    for reaction in &mut silent.reactions {
        if reaction.custom_emoji.take().is_some() {
            reaction.updated_at = None;
        }
    }
    silent
}

#[tokio::test]
async fn bodies_of_old_messages_are_redacted_and_nothing_else_changes() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    human.says(&history.thread, "unread").await;
    let mark = MarkConversationReadRequest {
        conversation_id: history.conversation_id.clone(),
        ..Default::default()
    };
    agent.mark_conversation_read(mark).await.unwrap();
    human.says(&history.thread, "unread").await;
    let messages = all_messages(&admin).await;
    let listed = [None, Some(true), Some(false)].map(|view| (view, conversations(&admin, view)));
    let mut before = Vec::new();
    for (view, list) in listed {
        before.push((view, list.await));
    }

    app.clock.advance(TimeDelta::days(31));
    clean_up(&app, BODIES).await;

    let after = all_messages(&admin).await;
    assert!(after.iter().all(|message| message.text.is_none() && message.media.is_empty()));
    let mut silence: Vec<_> = messages.iter().map(silent).collect();
    // A reaction that lost its emoji has changed, and no other.
    let reactions = |messages: &[Message]| -> Vec<_> {
        messages.iter().flat_map(|message| message.reactions.clone()).collect()
    };
    for (before, after) in reactions(&silence).iter().zip(reactions(&after)) {
        let has_changed = after.updated_at != after.created_at;
        assert_eq!(has_changed, before.updated_at.is_none(), "{after:?}");
    }
    let changes = reactions(&after).into_iter().map(|reaction| reaction.updated_at);
    silence
        .iter_mut()
        .flat_map(|message| &mut message.reactions)
        .zip(changes)
        .for_each(|(reaction, updated_at)| reaction.updated_at = updated_at);
    assert_eq!(after.iter().map(silent).collect::<Vec<_>>(), silence);
    let get = GetMessageRequest { message_id: history.first_id.clone(), agent_identity_id: None };
    let got = admin.get_message(get).await.unwrap().message.unwrap();
    assert_eq!(after.iter().find(|message| message.id == got.id), Some(&got));
    let emoji: Vec<_> =
        got.reactions.iter().map(|reaction| (reaction.reaction(), &reaction.custom_emoji)).collect();
    assert_eq!(emoji, [(ReactionType::Love, &None), (ReactionType::Custom, &None)]);
    for (view, list) in before {
        let quiet = |row: ConversationSummary| ConversationSummary {
            latest_text: None,
            latest_has_media: false,
            ..row
        };
        let expected: Vec<_> = list.into_iter().map(quiet).collect();
        assert_eq!(conversations(&admin, view).await, expected, "{view:?}");
    }
    invariants::hold(&app).await;
    let said = numbers(
        &app.pool,
        "SELECT (SELECT count(*) FROM messages WHERE text IS NOT NULL OR media IS NOT NULL)
              + (SELECT count(*) FROM reactions WHERE custom_emoji IS NOT NULL)
              + (SELECT count(*) FROM conversations WHERE clear_latest_text IS NOT NULL OR clear_latest_has_media
                                                        OR blocked_latest_text IS NOT NULL OR blocked_latest_has_media)",
    );
    assert_eq!(said.await, [0]);
}

#[tokio::test]
async fn younger_messages_and_their_previews_are_kept() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "old").await;
    app.clock.advance(TimeDelta::days(2));
    human.says(&thread, "young").await;
    app.clock.advance(TimeDelta::days(29));
    clean_up(&app, BODIES).await;
    assert_eq!(texts(&messages_of(&admin, &id).await), ["young", ""]);
    assert_eq!(conversations(&admin, None).await[0].latest_text.as_deref(), Some("young"));
    invariants::hold(&app).await;
    app.clock.advance(TimeDelta::days(2));
    clean_up(&app, BODIES).await;
    assert_eq!(texts(&messages_of(&admin, &id).await), ["", ""]);
    assert_eq!(conversations(&admin, None).await[0].latest_text, None);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn the_age_is_counted_from_arrival_not_from_sent_at() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    app.clock.advance(TimeDelta::days(40));
    clean_up(&app, BODIES).await;
    let sent_at = app.clock.now() - TimeDelta::days(39);
    let late = ReceiveMessageRequest {
        sent_at: Some(Timestamp { seconds: sent_at.timestamp(), nanos: 0 }),
        ..human.text(&thread.line, "late")
    };
    human.router.receive_message(late).await.unwrap();
    clean_up(&app, BODIES).await;
    assert_eq!(texts(&messages_of(&admin, &id).await), ["late", ""]);
    app.clock.advance(TimeDelta::days(31));
    clean_up(&app, BODIES).await;
    assert_eq!(texts(&messages_of(&admin, &id).await), ["", ""]);
}

#[tokio::test]
async fn without_a_limit_nothing_is_redacted() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    History::between(&app, &human, &identity).await;
    // The first run deletes expired deduplication records.
    app.clock.advance(TimeDelta::days(8));
    clean_up(&app, Retention::default()).await;
    let before = everything(&app.pool).await;
    app.clock.advance(TimeDelta::days(3_650));
    clean_up(&app, Retention::default()).await;
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn a_replayed_send_returns_the_redacted_message_and_sends_nothing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    let reached = deliveries(&admin).await.len();
    app.clock.advance(TimeDelta::days(2));
    clean_up(&app, Retention { bodies: Some(TimeDelta::days(1)), released: None, events: None, audit: None })
        .await;
    let replayed = admin.send_message(history.sent).await.unwrap().message.unwrap();
    assert_eq!((replayed.id, replayed.text), (history.sent_id, None));
    assert_eq!(deliveries(&admin).await.len(), reached);
}

#[tokio::test]
async fn several_batches_are_redacted_by_concurrent_replicas() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    add_texts(&app, &id, 1_203).await;
    app.clock.advance(TimeDelta::days(31));
    other.clock.advance(TimeDelta::days(31));
    human.says(&thread, "young").await;
    let ((), ()) = tokio::join!(clean_up(&app, BODIES), clean_up(&other, BODIES));
    let left = "SELECT count(*) FROM messages WHERE text IS NOT NULL";
    assert_eq!(numbers(&app.pool, left).await, [1]);
    invariants::hold(&app).await;
    // Nothing is processed again except the last minutes before the limit.
    let progress = "SELECT count(*) FROM messages m JOIN retention_progress p USING (organization_id)
                    WHERE m.id > p.messages_to";
    assert_eq!(numbers(&app.pool, progress).await, [1]);
}

#[tokio::test]
async fn a_longer_limit_restores_nothing_and_a_shorter_one_continues() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, human) = (app.admin("org_a").await, Human::new(&app, "+15551230001").await);
    let (_, id) = human.converses(&identity, "first").await;
    app.clock.advance(TimeDelta::days(20));
    send(&admin, &id, "second").await;
    app.clock.advance(TimeDelta::days(15));
    for (days, expected) in [(30, ["second", ""]), (60, ["second", ""]), (10, ["", ""])] {
        clean_up(
            &app,
            Retention { bodies: Some(TimeDelta::days(days)), released: None, events: None, audit: None },
        )
        .await;
        assert_eq!(texts(&messages_of(&admin, &id).await), expected, "{days} days");
    }
}

#[tokio::test]
async fn an_organization_whose_cleanup_fails_keeps_retention_from_no_other() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    for organization in ["org_a", "org_b"] {
        human.converses(&app.identity(organization).await, "hello").await;
    }
    raw_sql(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN RAISE EXCEPTION 'this row cannot be written' USING ERRCODE = '58030'; END$$;
         CREATE TRIGGER fails BEFORE UPDATE ON messages FOR EACH ROW
             WHEN (NEW.organization_id = 'org_a') EXECUTE FUNCTION fails()",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    app.clock.advance(TimeDelta::days(31));
    assert!(cleanup::run_once(&app.parts, BODIES).await.is_err(), "the run says that something is left");
    for (organization, text) in [("org_a", Some("hello")), ("org_b", None)] {
        let messages = all_messages(&app.admin(organization).await).await;
        assert_eq!(messages[0].text.as_deref(), text, "{organization}");
    }
}

/// The run is given up after eight failures in a row: the database may be away.
#[tokio::test]
async fn organizations_whose_cleanup_always_fails_do_not_keep_the_others_from_their_turn() {
    let app = TestApp::start().await;
    for n in 1..=9 {
        let human = Human::new(&app, &format!("+1555123000{n}")).await;
        human.converses(&app.identity(&format!("org_{n}")).await, "hello").await;
    }
    raw_sql(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN RAISE EXCEPTION 'this row cannot be written' USING ERRCODE = '58030'; END$$;
         CREATE TRIGGER fails BEFORE UPDATE ON messages FOR EACH ROW
             WHEN (NEW.organization_id <> 'org_9') EXECUTE FUNCTION fails()",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    app.clock.advance(TimeDelta::days(31));
    let text = async || all_messages(&app.admin("org_9").await).await[0].text.clone();
    let first = cleanup::Run::new(&app.parts, BODIES).all("").await;
    assert!(first.result.is_err());
    assert_eq!((first.next_start.as_str(), text().await), ("org_8", Some("hello".to_owned())));
    let second = cleanup::Run::new(&app.parts, BODIES).all(&first.next_start).await;
    assert!(second.result.is_ok());
    assert_eq!((second.next_start.as_str(), text().await), ("", None));
}
