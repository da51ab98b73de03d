use std::collections::BTreeMap;

use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::LineRole;
use inkbox_imessage::maintenance::cleanup::{DEDUPLICATION_RETENTION, Retention};
use inkbox_imessage::proto::{
    GetConversationRequest, GetMessageRequest, ListConversationsRequest, ReceiveOutcome,
    RemoveReactionRequest,
};
use serde_json::Value;

use super::{RELEASED, clean_up};
use crate::messages::{all_messages, messages_of, send, texts};
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::history::{History, add_texts};
use crate::support::snapshot::{everything, numbers};
use crate::support::{Human, TestApp, assert_reason, database, invariants};

/// All rows except the retention progress.
async fn rows(app: &TestApp) -> BTreeMap<String, Value> {
    everything(&app.pool).await
}

/// The service with one pool line, which every connection uses.
async fn with_one_line() -> TestApp {
    let app = TestApp::builder().database(database::fresh().await).start().await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    app.add_line(POOL_LINES[0], LineRole::Pool).await;
    app
}

#[tokio::test]
async fn a_pair_is_deleted_completely_when_its_last_release_is_old_enough() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let before = rows(&app).await;
    let history = History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    app.clock.advance(TimeDelta::days(20));
    let again = human.connects(&identity).await;
    human.says(&again, "back").await;
    human.disconnects(&identity).await;

    // The first release is old enough now, the last one is not.
    app.clock.advance(TimeDelta::days(29));
    clean_up(&app, Retention::default()).await;
    let young = rows(&app).await;
    clean_up(&app, RELEASED).await;
    assert_eq!(rows(&app).await, young);

    app.clock.advance(TimeDelta::days(2));
    clean_up(&app, RELEASED).await;
    assert_eq!(rows(&app).await, before);
    let get = GetConversationRequest { conversation_id: history.conversation_id, agent_identity_id: None };
    assert_reason(admin.get_conversation(get).await, "NOT_FOUND");
    let get = GetMessageRequest { message_id: history.first_id, agent_identity_id: None };
    assert_reason(admin.get_message(get).await, "NOT_FOUND");
}

#[tokio::test]
async fn a_connected_pair_is_kept_whatever_was_released_before() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    human.connects(&identity).await;
    app.clock.advance(TimeDelta::days(400));
    clean_up(&app, Retention::default()).await;
    let before = rows(&app).await;
    clean_up(&app, RELEASED).await;
    assert_eq!(rows(&app).await, before);
}

#[tokio::test]
async fn other_pairs_and_their_contact_history_on_the_same_line_are_kept() {
    let app = with_one_line().await;
    let (identity, second) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let (human, other) = (Human::new(&app, "+15551230001").await, Human::new(&app, "+15551230002").await);
    History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    History::between(&app, &human, &foreign).await;
    human.disconnects(&foreign).await;
    History::between(&app, &other, &identity).await;
    app.clock.advance(TimeDelta::days(31));
    History::between(&app, &human, &second).await;
    clean_up(&app, RELEASED).await;
    invariants::hold(&app).await;
    let kept = "SELECT count(*) FROM conversations UNION ALL SELECT count(*) FROM connections
                UNION ALL SELECT count(*) FROM messages UNION ALL SELECT count(*) FROM reactions
                UNION ALL SELECT count(*) FROM routed_organizations";
    assert_eq!(numbers(&app.pool, kept).await, [2, 2, 6, 4, 2]);
}

#[tokio::test]
async fn a_human_who_reconnects_afterwards_gets_a_new_conversation() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    app.clock.advance(TimeDelta::days(31));
    clean_up(&app, RELEASED).await;
    let (_, id) = human.converses(&identity, "hello again").await;
    assert_ne!(id, history.conversation_id);
    send(&admin, &id, "welcome").await;
    let listed = admin.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    let counts: Vec<_> = listed.iter().map(|row| (&row.id, row.total_count, row.unread_count)).collect();
    assert_eq!(counts, [(&id, 2, 1)]);
    assert_eq!(texts(&messages_of(&admin, &id).await), ["welcome", "hello again"]);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn several_batches_are_deleted_by_concurrent_replicas() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let identity = app.identity("org_a").await;
    let before = rows(&app).await;
    let human = Human::new(&app, "+15551230001").await;
    for number in 0..3 {
        let human = Human::new(&app, &format!("+1555123000{number}")).await;
        let history = History::between(&app, &human, &identity).await;
        add_texts(&app, &history.conversation_id, 603).await;
        human.disconnects(&identity).await;
    }
    app.clock.advance(TimeDelta::days(31));
    other.clock.advance(TimeDelta::days(31));
    let ((), ()) = tokio::join!(clean_up(&app, RELEASED), clean_up(&other, RELEASED));
    assert_eq!(rows(&app).await, before);
    assert_eq!(all_messages(&app.admin("org_a").await).await, []);
    drop(human);
}

#[tokio::test]
async fn a_redelivery_of_a_message_of_the_last_week_is_still_a_duplicate() {
    let app = with_one_line().await;
    let (identity, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    app.clock.advance(TimeDelta::hours(3));
    let soon = Retention { bodies: None, released: Some(TimeDelta::hours(2)), events: None, audit: None };
    clean_up(&app, soon).await;
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM messages").await, [0]);

    // The same human on the same line, connected to another agent and to the same one.
    for identity in [&foreign, &identity] {
        human.connects(identity).await;
        let again = human.router.receive_message(history.first.clone()).await.unwrap();
        assert_eq!(again.outcome(), ReceiveOutcome::Duplicate);
        assert_eq!((again.message_id, again.conversation_id, again.connection_id), (None, None, None));
        assert_eq!(numbers(&app.pool, "SELECT count(*) FROM messages").await, [0]);
        human.disconnects(identity).await;
    }
    app.clock.advance(DEDUPLICATION_RETENTION);
    clean_up(&app, Retention::default()).await;
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM forgotten_texts").await, [0]);
}

#[tokio::test]
async fn a_half_purged_conversation_is_invisible_and_the_next_cleanup_finishes_it() {
    use inkbox_imessage::store::retention::{DiscardOutcome, Discarded, Participants, discard};
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    let reaction = all_messages(&admin).await.iter().find_map(|message| message.reactions.first().cloned());
    human.disconnects(&identity).await;
    let pair = Participants {
        organization_id: "org_a".into(),
        identity_id: uuid::Uuid::try_parse(&identity.id).unwrap().into(),
        remote_number: human.number.clone().into(),
    };
    let done = discard(&app.parts.db, pair, None, app.clock.now()).await.unwrap();
    assert!(matches!(
        done,
        DiscardOutcome::Discarded(Discarded { connections: 1, conversation_id: Some(_) })
    ));
    // The process is killed here.
    assert_eq!(all_messages(&admin).await, []);
    let get = GetMessageRequest { message_id: history.first_id, agent_identity_id: None };
    assert_reason(admin.get_message(get).await, "NOT_FOUND");
    let remove = RemoveReactionRequest { reaction_id: reaction.unwrap().id };
    assert_reason(admin.remove_reaction(remove).await, "NOT_FOUND");
    assert_reason(admin.send_message(history.sent).await, "NOT_FOUND");
    invariants::hold(&app).await;
    clean_up(&app, Retention::default()).await;
    let left = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM reactions)
                     + (SELECT count(*) FROM idempotency_keys) + (SELECT count(*) FROM sent_messages)
                     + (SELECT count(*) FROM discarded_conversations)";
    assert_eq!(numbers(&app.pool, left).await, [0]);
}
