//! The bytes of page tokens. A token that one release gave must work on a replica of the next one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use inkbox_imessage::domain::{Cursor, Page};
use inkbox_imessage::grpc::wire::page_token::ListBinding;
use inkbox_imessage::proto::*;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::support::{Human, TestApp, rows};

#[test]
fn a_token_as_text() {
    let organization_id = "org_a".into();
    let identity_id = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057).into();
    let next = Cursor {
        at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
        id: Uuid::from_u128(7),
    };
    let page = Page::<()> { rows: Vec::new(), next: Some(next) };
    let with_identity = ListBinding::new("ListConversations", &organization_id, Some(identity_id), "clear");
    let without = ListBinding::new("ListIdentities", &organization_id, None, "");
    assert_eq!(with_identity.next_token(&page), "AZ5KOBjDmwriNCyzyqkdPV0ABgokGCAiQAAAAAAAAAAAAAAAAAAAAAc");
    assert_eq!(without.next_token(&page), "AbRFuiabQw5LoVIwwl3xKWYABgokGCAiQAAAAAAAAAAAAAAAAAAAAAc");
}

/// The first 16 bytes of SHA-256 over each part, each after its length in 8 bytes.
fn binding(method: &str, identity_id: &str, filters: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [method, "org_freeze", identity_id, filters] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].to_vec()
}

/// Asserts that a token is the version, the list's binding, and the time and id of the page's last row.
#[track_caller]
fn assert_token(token: &str, binding: &[u8], at: Option<prost_types::Timestamp>, id: &str) {
    let at = at.unwrap();
    let micros = at.seconds * 1_000_000 + i64::from(at.nanos / 1_000);
    let id = Uuid::try_parse(id).unwrap();
    let bytes = [&[1], binding, &micros.to_be_bytes()[..], id.as_bytes()].concat();
    assert_eq!(token, URL_SAFE_NO_PAD.encode(bytes));
}

#[tokio::test]
async fn tokens_of_conversations_and_connections() {
    let app = TestApp::start().await;
    let identity = app.identity("org_freeze").await;
    for number in ["+15551230001", "+15551230002"] {
        let human = Human::new(&app, number).await;
        let (thread, _) = human.converses(&identity, "hello").await;
        crate::conversations::says_blocked(&app, &identity, &human, &thread, "spam").await;
    }
    let (admin, agent) = (app.admin("org_freeze").await, app.agent(&identity).await);
    let of_identity = Some(identity.id.clone());
    for (caller, identity_id, is_blocked, named, view) in [
        (&admin, None, None, "", "all"),
        (&admin, None, Some(false), "", "clear"),
        (&admin, None, Some(true), "", "blocked"),
        (&admin, of_identity.clone(), None, identity.id.as_str(), "all"),
        (&agent, None, None, identity.id.as_str(), "clear"),
    ] {
        let request = ListConversationsRequest {
            agent_identity_id: identity_id.clone(),
            is_blocked,
            limit: Some(1),
            ..Default::default()
        };
        let answer = caller.list_conversations(request).await.unwrap();
        let row = &answer.conversations[0];
        let binding_of_list = binding("ListConversations", named, view);
        assert_token(&answer.next_page_token, &binding_of_list, row.latest_message_at, &row.id);

        let request =
            ListConnectionsRequest { agent_identity_id: identity_id, limit: Some(1), ..Default::default() };
        let answer = caller.list_connections(request).await.unwrap();
        let row = &answer.connections[0];
        let binding_of_list = binding("ListConnections", named, "");
        assert_token(&answer.next_page_token, &binding_of_list, row.created_at, &row.id);
    }
}

#[tokio::test]
async fn tokens_of_messages() {
    let app = TestApp::start().await;
    let identity = app.identity("org_freeze").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    human.says(&thread, "again").await;
    for text in ["spam", "more spam"] {
        crate::conversations::says_blocked(&app, &identity, &human, &thread, text).await;
    }
    let (admin, agent) = (app.admin("org_freeze").await, app.agent(&identity).await);
    let of_conversation = format!("Some(ConversationId({id}))");
    for (caller, conversation_id, is_blocked, is_read, named, filters) in [
        (&admin, None, None, None, "", "all None None".to_owned()),
        (&admin, None, Some(false), Some(false), "", "clear Some(false) None".to_owned()),
        (&admin, None, Some(true), None, "", "blocked None None".to_owned()),
        (&agent, None, None, None, identity.id.as_str(), "clear None None".to_owned()),
        (&agent, Some(&id), None, Some(false), "", format!("clear Some(false) {of_conversation}")),
        (&admin, Some(&id), None, None, "", format!("all None {of_conversation}")),
    ] {
        let request = ListMessagesRequest {
            conversation_id: conversation_id.cloned(),
            is_blocked,
            is_read,
            limit: Some(1),
            ..Default::default()
        };
        let answer = caller.list_messages(request).await.unwrap();
        let row = &answer.messages[0];
        let binding_of_list = binding("ListMessages", named, &filters);
        assert_token(&answer.next_page_token, &binding_of_list, row.created_at, &row.id);
    }
    agent
        .mark_conversation_read(MarkConversationReadRequest { conversation_id: id, ..Default::default() })
        .await
        .unwrap();
    let read = ListMessagesRequest { is_read: Some(true), limit: Some(1), ..Default::default() };
    let answer = agent.list_messages(read).await.unwrap();
    let binding_of_list = binding("ListMessages", &identity.id, "clear Some(true) None");
    let row = &answer.messages[0];
    assert_token(&answer.next_page_token, &binding_of_list, row.created_at, &row.id);
}

#[tokio::test]
async fn tokens_of_identities_keys_and_rules() {
    let app = TestApp::start().await;
    let identity = app.identity("org_freeze").await;
    app.identity("org_freeze").await;
    let admin = app.admin("org_freeze").await;
    for number in ["+15551230001", "+15551230002"] {
        rows::block(&app.pool, &identity, number).await;
    }

    let answer =
        admin.list_identities(ListIdentitiesRequest { limit: Some(1), ..Default::default() }).await.unwrap();
    let row = &answer.identities[0];
    assert_token(&answer.next_page_token, &binding("ListIdentities", "", ""), row.created_at, &row.id);

    let answer =
        admin.list_api_keys(ListApiKeysRequest { limit: Some(1), ..Default::default() }).await.unwrap();
    let row = &answer.api_keys[0];
    assert_token(&answer.next_page_token, &binding("ListApiKeys", "", ""), row.created_at, &row.id);

    for (named, text) in [(None, ""), (Some(identity.id.clone()), identity.id.as_str())] {
        let request =
            ListContactRulesRequest { agent_identity_id: named, limit: Some(1), ..Default::default() };
        let answer = admin.list_contact_rules(request).await.unwrap();
        let row = &answer.contact_rules[0];
        assert_token(
            &answer.next_page_token,
            &binding("ListContactRules", text, ""),
            row.created_at,
            &row.id,
        );
    }
}
