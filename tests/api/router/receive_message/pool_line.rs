use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, ConversationSummary, FilterMode, GetConversationRequest, Identity,
    ListConversationsRequest, ReceiveOutcome, UpdateIdentityRequest,
};
use prost_types::Timestamp;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::support::app::POOL_LINES;
use crate::support::snapshot::everything;
use crate::support::{Human, TestApp, assert_reason, rows};

async fn conversations(app: &TestApp, organization: &str) -> Vec<ConversationSummary> {
    let admin = app.admin(organization).await;
    admin.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations
}

async fn change(app: &TestApp, identity: &Identity, change: impl FnOnce(&mut UpdateIdentityRequest)) {
    let mut request = UpdateIdentityRequest { identity_id: identity.id.clone(), ..Default::default() };
    change(&mut request);
    app.admin(&identity.organization_id).await.update_identity(request).await.unwrap();
}

async fn is_blocked(pool: &PgPool, message_id: &str) -> bool {
    sqlx::query_scalar("SELECT is_blocked FROM messages WHERE id = $1")
        .bind(Uuid::try_parse(message_id).unwrap())
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn stored_tells_the_ids_of_connection_conversation_and_message() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;

    let answer = human.says(&thread, "hello").await;
    assert_eq!(answer.outcome(), ReceiveOutcome::Stored);
    assert_eq!(answer.connection_id, Some(thread.connection_id.clone()));
    assert_eq!((&answer.reply_text, &answer.line_number), (&None, &None));
    assert!(!is_blocked(&app.pool, answer.message_id()).await);

    let second = human.says(&thread, "again").await;
    assert_ne!(second.message_id, answer.message_id);
    assert_eq!(second.conversation_id, answer.conversation_id);
    let conversation = conversations(&app, "org_a").await.remove(0);
    assert_eq!(Some(conversation.id), answer.conversation_id);
    assert_eq!((conversation.total_count, conversation.unread_count), (2, 2));
    assert_eq!(conversation.latest_text.as_deref(), Some("again"));
}

#[tokio::test]
async fn the_first_message_makes_the_conversation_and_connecting_does_not() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    assert!(conversations(&app, "org_a").await.is_empty());
    human.says(&thread, "hello").await;
    assert_eq!(conversations(&app, "org_a").await.len(), 1);
}

#[tokio::test]
async fn what_the_mode_and_an_active_rule_of_its_action_keep_out_is_stored_blocked() {
    use ContactRuleAction::{Allow, Block};
    use ContactRuleStatus::{Active, Paused};
    use FilterMode::{Blacklist, Whitelist};
    use ReceiveOutcome::{Stored, StoredBlocked};

    let app = TestApp::start().await;
    let table = [
        (Blacklist, None, Stored),
        (Blacklist, Some((Block, Active)), StoredBlocked),
        (Blacklist, Some((Block, Paused)), Stored),
        (Blacklist, Some((Allow, Active)), Stored),
        (Whitelist, None, StoredBlocked),
        (Whitelist, Some((Allow, Active)), Stored),
        (Whitelist, Some((Allow, Paused)), StoredBlocked),
        (Whitelist, Some((Block, Active)), StoredBlocked),
    ];
    for (i, (mode, rule, expected)) in table.into_iter().enumerate() {
        let human = Human::new(&app, &format!("+1555123000{i}")).await;
        let identity = app.identity("org_a").await;
        let thread = human.connects(&identity).await;
        change(&app, &identity, |change| change.set_filter_mode(mode)).await;
        if let Some((action, status)) = rule {
            rows::contact_rule(&app.pool, &identity, &human.number, action, status).await;
        }
        let answer = human.says(&thread, "hello").await;
        assert_eq!(answer.outcome(), expected, "{mode:?} {rule:?}");
        assert_eq!(is_blocked(&app.pool, answer.message_id()).await, expected == StoredBlocked);
        assert_eq!(answer.connection_id, Some(thread.connection_id));
        assert!(answer.conversation_id.is_some());
    }
}

#[tokio::test]
async fn a_rule_on_another_number_keeps_no_one_else_out() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, "+15551230002").await;
    rows::block(&app.pool, &app.identity("org_a").await, &human.number).await;
    assert_eq!(human.says(&thread, "hello").await.outcome(), ReceiveOutcome::Stored);
}

#[tokio::test]
async fn is_blocked_is_never_rewritten_when_rules_change() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let kept_out = human.says(&thread, "blocked").await;
    rows::remove_rules(&app.pool, &identity).await;
    let let_in = human.says(&thread, "clear").await;
    rows::block(&app.pool, &identity, &human.number).await;
    let kept_out_again = human.says(&thread, "blocked again").await;

    for (answer, blocked) in [(kept_out, true), (let_in, false), (kept_out_again, true)] {
        assert_eq!(is_blocked(&app.pool, answer.message_id()).await, blocked);
    }
    let admin = app.admin("org_a").await;
    for (is_blocked, total, text) in [(true, 2, "blocked again"), (false, 1, "clear")] {
        let view = ListConversationsRequest { is_blocked: Some(is_blocked), ..Default::default() };
        let listed = admin.list_conversations(view).await.unwrap().conversations;
        assert_eq!((listed[0].total_count, listed[0].latest_text.as_deref()), (total, Some(text)));
    }
}

#[tokio::test]
async fn without_an_active_connection_on_the_line_nothing_is_stored() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (human, stranger) = (Human::new(&app, "+15551230001").await, Human::new(&app, "+15551230002").await);
    let (ended, _) = human.converses(&identity, "hello").await;
    human.disconnects(&identity).await;
    // On another line than before, which now is the most loaded one.
    stranger.connects(&identity).await;
    let thread = human.connects(&app.identity("org_a").await).await;

    let before = everything(&app.pool).await;
    let mut elsewhere = POOL_LINES.iter().filter(|line| **line != thread.line);
    let mut texts =
        vec![stranger.text(&thread.line, "hello"), human.text(elsewhere.next().unwrap(), "hello")];
    texts.push(human.text(elsewhere.next().unwrap(), "hello"));
    assert_ne!(ended.connection_id, thread.connection_id);
    for text in texts {
        let mut answer = human.router.receive_message(text).await.unwrap();
        assert_eq!(answer.outcome(), ReceiveOutcome::NotConnected);
        answer.outcome = 0;
        assert_eq!(answer, inkbox_imessage::proto::ReceiveMessageResponse::default());
    }
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn texts_to_a_disabled_identity_are_dropped_until_it_is_on_again() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, conversation_id) = human.converses(&identity, "hello").await;
    change(&app, &identity, |change| change.imessage_enabled = Some(false)).await;

    let before = everything(&app.pool).await;
    let mut answer = human.says(&thread, "are you there?").await;
    assert_eq!(answer.outcome(), ReceiveOutcome::IdentityDisabled);
    answer.outcome = 0;
    assert_eq!(answer, inkbox_imessage::proto::ReceiveMessageResponse::default());
    assert_eq!(everything(&app.pool).await, before);

    change(&app, &identity, |change| change.imessage_enabled = Some(true)).await;
    let answer = human.says(&thread, "and now?").await;
    assert_eq!(answer.outcome(), ReceiveOutcome::Stored);
    assert_eq!(answer.connection_id, Some(thread.connection_id));
    assert_eq!(answer.conversation_id, Some(conversation_id));
}

#[tokio::test]
async fn a_late_text_takes_its_place_by_time_and_does_not_become_the_preview() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "newest").await;
    let newest = conversations(&app, "org_a").await.remove(0);

    let mut late = human.text(&thread.line, "late");
    late.sent_at = newest.latest_message_at.map(|at| Timestamp { seconds: at.seconds - 60, ..at });
    assert_eq!(human.router.receive_message(late).await.unwrap().outcome(), ReceiveOutcome::Stored);
    let after = conversations(&app, "org_a").await.remove(0);
    assert_eq!(after.latest_text.as_deref(), Some("newest"));
    assert_eq!(after.latest_message_at, newest.latest_message_at);
    assert_eq!((after.total_count, after.unread_count), (2, 2));
}

#[tokio::test]
async fn a_text_sent_in_the_future_counts_as_sent_now() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let mut text = human.text(&thread.line, "from tomorrow");
    text.sent_at = Some(Timestamp { seconds: 253_402_300_799, nanos: 0 });
    human.router.receive_message(text).await.unwrap();

    let now = inkbox_imessage::clock::Clock::now(&*app.clock);
    let stored = conversations(&app, "org_a").await.remove(0).latest_message_at.unwrap();
    assert!((now.timestamp() - 60..=now.timestamp()).contains(&stored.seconds), "{stored:?}");
}

#[tokio::test]
async fn a_line_that_is_not_ours_is_not_found_whoever_texts() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    human.converses(&identity, "hello").await;

    let before = everything(&app.pool).await;
    for words in ["hello", "list"] {
        let answer = human.router.receive_message(human.text("+12025550199", words)).await;
        assert_reason(answer, "NOT_FOUND");
    }
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn two_humans_of_one_line_have_conversations_of_their_own() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let mut ids = Vec::new();
    for i in 0..4 {
        let human = Human::new(&app, &format!("+1555123000{i}")).await;
        let (_, id) = human.converses(&identity, &format!("from {i}")).await;
        ids.push((id, human.number));
    }
    let admin = app.admin("org_a").await;
    for (id, number) in ids {
        let get = GetConversationRequest { conversation_id: id, agent_identity_id: None };
        let conversation = admin.get_conversation(get).await.unwrap().conversation.unwrap();
        assert_eq!(conversation.remote_number, number);
    }
}
