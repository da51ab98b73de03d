use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::erase::Erased;
use inkbox_imessage::proto::{
    DeliveryStatus, Identity, ListConversationsRequest, ReceiveOutcome, UpdateDeliveryStatusRequest,
};
use inkbox_imessage::store::retention::{Participants, count_subject, discard};
use uuid::Uuid;

use super::erase;
use crate::messages::{all_messages, deliveries};
use crate::support::history::{History, add_texts};
use crate::support::snapshot::{everything, numbers};
use crate::support::{Human, TestApp, assert_reason, invariants, rows};

/// Tables of deduplication records, which do not refer to a human or an organization.
const DEDUPLICATION: [&str; 2] = ["router_commands", "forgotten_texts"];

fn pair(identity: &Identity, human: &Human) -> Participants {
    Participants {
        organization_id: identity.organization_id.as_str().into(),
        identity_id: Uuid::try_parse(&identity.id).unwrap().into(),
        remote_number: human.number.clone().into(),
    }
}

#[tokio::test]
async fn no_row_refers_to_the_erased_human() {
    let app = TestApp::start().await;
    let (identity, second) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let mut before = everything(&app.pool).await;
    let history = History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    human.connects(&identity).await;
    human.connects(&second).await;
    rows::block(&app.pool, &second, &human.number).await;

    let erased = erase(&app, "org_a", &human, false).await;
    let expected = Erased {
        connections: 3,
        released: 2,
        conversations: 1,
        messages: 3,
        reactions: 2,
        idempotency_keys: 1,
        contact_rules: 1,
    };
    assert_eq!(erased, expected);
    let mut after = everything(&app.pool).await;
    let mentions = [&human.number[1..], &history.conversation_id, &history.first_id, &history.sent_id];
    for (table, left) in &after {
        let left = left.to_string();
        assert!(mentions.iter().all(|mention| !left.contains(mention)), "{table}: {left}");
    }
    let of_connections = "SELECT count(*) FROM router_commands WHERE connection_id IS NOT NULL";
    assert_eq!(numbers(&app.pool, of_connections).await, [0]);
    for table in DEDUPLICATION {
        before.remove(table);
        after.remove(table);
    }
    assert_eq!(after, before);
    invariants::hold(&app).await;
    assert!(erase(&app, "org_a", &human, false).await.is_nothing());
}

#[tokio::test]
async fn data_of_other_organizations_and_other_humans_is_untouched() {
    let app = TestApp::start().await;
    let (identity, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let (human, other) = (Human::new(&app, "+15551230001").await, Human::new(&app, "+15551230002").await);
    History::between(&app, &human, &identity).await;
    let kept =
        [History::between(&app, &human, &foreign).await, History::between(&app, &other, &identity).await];
    let (admin, foreign_admin) = (app.admin("org_a").await, app.admin("org_b").await);
    let theirs = all_messages(&foreign_admin).await;
    rows::block(&app.pool, &foreign, "+15551230009").await;
    erase(&app, "org_a", &human, false).await;
    invariants::hold(&app).await;
    assert_eq!(all_messages(&foreign_admin).await, theirs);
    let listed = admin.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    assert_eq!(listed.iter().map(|row| &row.id).collect::<Vec<_>>(), [&kept[1].conversation_id]);
    assert_eq!(human.says(&kept[0].thread, "still here").await.outcome(), ReceiveOutcome::Stored);
    assert_eq!(other.says(&kept[1].thread, "still here").await.outcome(), ReceiveOutcome::Stored);
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM contact_rules").await, [1]);
}

#[tokio::test]
async fn contact_rules_are_kept_on_request() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    rows::block(&app.pool, &identity, &human.number).await;
    assert!(erase(&app, "org_a", &human, true).await.is_nothing());
    let refused = human.commands(&format!("connect @{}", identity.agent_handle)).await;
    assert_eq!(refused.outcome(), ReceiveOutcome::Refused);
    assert_eq!(erase(&app, "org_a", &human, false).await.contact_rules, 1);
    human.connects(&identity).await;
}

#[tokio::test]
async fn redelivered_messages_commands_and_delivery_updates_restore_nothing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let command =
        human.text(crate::support::app::ROUTER_LINE, &format!("connect @{}", identity.agent_handle));
    let connected = human.router.receive_message(command.clone()).await.unwrap();
    assert_eq!(connected.outcome(), ReceiveOutcome::Connected);
    let history = History::between(&app, &human, &identity).await;
    erase(&app, "org_a", &human, false).await;

    let again = human.router.receive_message(command.clone()).await.unwrap();
    assert_eq!((again.outcome(), again.connection_id), (ReceiveOutcome::Duplicate, None));
    let news = UpdateDeliveryStatusRequest {
        line_number: history.thread.line.clone(),
        provider_message_id: history.sent_id.clone(),
        status: DeliveryStatus::Delivered.into(),
        ..Default::default()
    };
    assert_reason(human.router.update_delivery_status(news).await, "NOT_FOUND");
    for connected in [false, true] {
        if connected {
            assert_eq!(human.connects(&identity).await.line, history.thread.line);
        }
        let again = human.router.receive_message(history.first.clone()).await.unwrap();
        assert_eq!((again.outcome(), again.message_id), (ReceiveOutcome::Duplicate, None));
        assert_eq!(numbers(&app.pool, "SELECT count(*) FROM messages").await, [0]);
    }
    invariants::hold(&app).await;
}

#[tokio::test]
async fn a_human_who_reconnects_gets_a_new_conversation_and_the_idempotency_key_is_free() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    let reached = deliveries(&admin).await.len();
    erase(&app, "org_a", &human, false).await;
    assert_reason(admin.send_message(history.sent.clone()).await, "NOT_FOUND");
    let (_, id) = human.converses(&identity, "hello").await;
    assert_ne!(id, history.conversation_id);
    let target = Some(inkbox_imessage::proto::send_message_request::Target::ConversationId(id));
    let request = inkbox_imessage::proto::SendMessageRequest { target, ..history.sent };
    let sent = admin.send_message(request).await.unwrap().message.unwrap();
    assert_ne!(sent.id, history.sent_id);
    assert_eq!(deliveries(&admin).await.len(), reached + 1);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn an_interrupted_erasure_is_completed_by_the_next() {
    let app = TestApp::start().await;
    let (identity, second) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    add_texts(&app, &history.conversation_id, 603).await;
    History::between(&app, &human, &second).await;
    human.disconnects(&identity).await;
    discard(&app.parts.db, pair(&identity, &human), None, app.clock.now()).await.unwrap();
    // The process is killed here: one conversation is invisible but not deleted yet, the other is untouched.
    invariants::hold(&app).await;
    let erased = erase(&app, "org_a", &human, false).await;
    assert_eq!((erased.messages, erased.conversations, erased.connections), (609, 1, 1));
    let left = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM discarded_conversations)";
    assert_eq!(numbers(&app.pool, left).await, [0]);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    History::between(&app, &human, &identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let before = everything(&app.pool).await;
    let number = human.number.clone().into();
    let known = count_subject(&app.parts.db, &"org_a".into(), &number).await.unwrap();
    let counts = (known.connections, known.active, known.conversations, known.messages, known.contact_rules);
    assert_eq!(counts, (1, 1, 1, 3, 1));
    assert_eq!(everything(&app.pool).await, before);
}
