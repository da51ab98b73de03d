use inkbox_imessage::proto::{AssignmentStatus, GetConversationRequest};
use uuid::Uuid;

use crate::support::assertions::assert_alike;
use crate::support::{Human, TestApp, assert_fields, assert_reason, rows};

fn get(id: &str) -> GetConversationRequest {
    GetConversationRequest { conversation_id: id.to_owned(), agent_identity_id: None }
}

#[tokio::test]
async fn the_owner_gets_the_conversation_with_its_newest_connection() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let conversation = caller.get_conversation(get(&id)).await.unwrap().conversation.unwrap();
        assert_eq!(conversation.id, id);
        assert_eq!(conversation.assignment_id, thread.connection_id);
        assert_eq!(conversation.assignment_status(), AssignmentStatus::Active);
        assert_eq!(conversation.remote_number, human.number);
        assert_eq!(conversation.agent_identity_id, identity.id);
        assert!(conversation.created_at.is_some() && conversation.updated_at.is_some());
    }
}

#[tokio::test]
async fn unknown_foreign_and_another_identitys_read_byte_for_byte_alike() {
    let app = TestApp::start().await;
    let mine = app.identity("org_a").await;
    let sibling = app.identity("org_a").await;
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, of_sibling) = human.converses(&sibling, "hello").await;
    let (_, of_foreign) = human.converses(&foreign, "hello").await;
    let unknown = Uuid::from_u128(1).to_string();

    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    assert_reason(admin.get_conversation(get(&unknown)).await, "NOT_FOUND");
    assert_alike(admin.get_conversation(get(&of_foreign)).await, admin.get_conversation(get(&unknown)).await);
    assert_alike(agent.get_conversation(get(&of_foreign)).await, agent.get_conversation(get(&unknown)).await);
    assert_alike(agent.get_conversation(get(&of_sibling)).await, agent.get_conversation(get(&unknown)).await);
}

#[tokio::test]
async fn another_identity_than_asserted_is_not_found() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&mine, "hello").await;

    for caller in [app.admin("org_a").await, app.agent(&mine).await] {
        let asserting = |identity: &str| GetConversationRequest {
            conversation_id: id.clone(),
            agent_identity_id: Some(identity.to_owned()),
        };
        assert!(caller.get_conversation(asserting(&mine.id)).await.is_ok());
        assert_reason(caller.get_conversation(asserting(&sibling.id)).await, "NOT_FOUND");
        assert_reason(caller.get_conversation(asserting(&Uuid::from_u128(1).to_string())).await, "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_conversation_of_only_blocked_messages_is_found_by_its_owner() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let id = human.says(&thread, "let me in").await.conversation_id.unwrap();

    let agent = app.agent(&identity).await;
    let conversation = agent.get_conversation(get(&id)).await.unwrap().conversation.unwrap();
    assert_eq!(conversation.id, id);
}

#[tokio::test]
async fn malformed_ids_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = GetConversationRequest {
        conversation_id: "nonsense".to_owned(),
        agent_identity_id: Some(String::new()),
    };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let answer = caller.get_conversation(bad.clone()).await;
        assert_fields(answer, &["conversation_id", "agent_identity_id"]);
    }
    assert_reason(app.router().await.get_conversation(get(&identity.id)).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().get_conversation(bad).await, "API_KEY_INVALID");
}
