use inkbox_imessage::proto::{GetMessageRequest, MarkConversationReadRequest};
use uuid::Uuid;

use super::{messages_of, send};
use crate::support::assertions::assert_alike;
use crate::support::{Human, TestApp, assert_fields, assert_reason, rows};

fn get(id: &str) -> GetMessageRequest {
    GetMessageRequest { message_id: id.to_owned(), agent_identity_id: None }
}

#[tokio::test]
async fn a_message_reads_as_it_is_listed() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "read").await;
    let agent = app.agent(&identity).await;
    agent
        .mark_conversation_read(MarkConversationReadRequest {
            conversation_id: id.clone(),
            ..Default::default()
        })
        .await
        .unwrap();
    send(&agent, &id, "sent").await;
    human.says(&thread, "new").await;
    for caller in [&agent, &app.admin("org_a").await] {
        let listed = messages_of(caller, &id).await;
        assert_eq!(listed.len(), 3);
        for message in listed {
            let got = caller.get_message(get(&message.id)).await.unwrap().message.unwrap();
            assert_eq!(got, message);
        }
    }
}

#[tokio::test]
async fn a_blocked_message_exists_to_admin_keys_only() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let id = human.says(&thread, "let me in").await.message_id.unwrap();

    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let message = admin.get_message(get(&id)).await.unwrap().message.unwrap();
    assert!(message.is_blocked && !message.is_read);
    let answer = agent.get_message(get(&id)).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    assert_alike(answer, agent.get_message(get(&Uuid::from_u128(1).to_string())).await);
}

#[tokio::test]
async fn unknown_foreign_and_another_identitys_read_byte_for_byte_alike() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&sibling).await;
    let of_sibling = human.says(&thread, "hello").await.message_id.unwrap();
    let thread = human.connects(&foreign).await;
    let of_foreign = human.says(&thread, "hello").await.message_id.unwrap();
    let unknown = Uuid::from_u128(1).to_string();

    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    assert_reason(admin.get_message(get(&unknown)).await, "NOT_FOUND");
    assert!(admin.get_message(get(&of_sibling)).await.is_ok());
    assert_alike(admin.get_message(get(&of_foreign)).await, admin.get_message(get(&unknown)).await);
    assert_alike(agent.get_message(get(&of_foreign)).await, agent.get_message(get(&unknown)).await);
    assert_alike(agent.get_message(get(&of_sibling)).await, agent.get_message(get(&unknown)).await);
}

#[tokio::test]
async fn another_identity_than_asserted_is_not_found() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&mine).await;
    let id = human.says(&thread, "hello").await.message_id.unwrap();
    for caller in [app.admin("org_a").await, app.agent(&mine).await] {
        let asserting = |identity: &str| GetMessageRequest {
            message_id: id.clone(),
            agent_identity_id: Some(identity.to_owned()),
        };
        assert!(caller.get_message(asserting(&mine.id)).await.is_ok());
        assert_reason(caller.get_message(asserting(&sibling.id)).await, "NOT_FOUND");
        assert_reason(caller.get_message(asserting(&Uuid::from_u128(1).to_string())).await, "NOT_FOUND");
    }
}

#[tokio::test]
async fn malformed_ids_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = GetMessageRequest { message_id: String::new(), agent_identity_id: Some("x".to_owned()) };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        assert_fields(caller.get_message(bad.clone()).await, &["message_id", "agent_identity_id"]);
    }
    assert_reason(app.router().await.get_message(get(&identity.id)).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().get_message(bad).await, "API_KEY_INVALID");
}
