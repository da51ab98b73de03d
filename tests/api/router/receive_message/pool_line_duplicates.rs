use inkbox_imessage::domain::LineRole;
use inkbox_imessage::proto::{
    Identity, ListConversationsRequest, ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome,
    UpdateIdentityRequest,
};

use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::snapshot::everything;
use crate::support::{Human, TestApp, database, rows};

/// The service with one pool line, so that every thread is on it.
async fn with_one_line() -> TestApp {
    let app = TestApp::builder().database(database::fresh().await).start().await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    app.add_line(POOL_LINES[0], LineRole::Pool).await;
    app
}

/// Connects and delivers a text.
async fn delivers(human: &Human, identity: &Identity) -> (ReceiveMessageRequest, ReceiveMessageResponse) {
    let thread = human.connects(identity).await;
    let text = human.text(&thread.line, "hello");
    let first = human.router.receive_message(text.clone()).await.unwrap();
    assert!(first.message_id.is_some(), "{first:?}");
    (text, first)
}

/// Delivers the text again: the answer has the first ids, and nothing changes.
async fn assert_redelivery(
    app: &TestApp,
    human: &Human,
    text: &ReceiveMessageRequest,
    first: &ReceiveMessageResponse,
) {
    let before = everything(&app.pool).await;
    let second = human.router.receive_message(text.clone()).await.unwrap();
    assert_eq!(second.outcome(), ReceiveOutcome::Duplicate);
    assert_eq!(second, ReceiveMessageResponse { outcome: second.outcome, ..first.clone() });
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn a_redelivery_gets_the_first_ids_and_changes_no_summary() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (mut text, first) = delivers(&human, &identity).await;
    assert_redelivery(&app, &human, &text, &first).await;
    // The provider's id is what counts, not the words.
    text.text = Some("other words".to_owned());
    assert_redelivery(&app, &human, &text, &first).await;
}

#[tokio::test]
async fn a_blocked_text_is_a_duplicate_too_even_when_no_longer_blocked() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let text = human.text(&thread.line, "hello");
    let first = human.router.receive_message(text.clone()).await.unwrap();
    assert_eq!(first.outcome(), ReceiveOutcome::StoredBlocked);
    assert_redelivery(&app, &human, &text, &first).await;
    rows::remove_rules(&app.pool, &identity).await;
    assert_redelivery(&app, &human, &text, &first).await;
}

#[tokio::test]
async fn a_redelivery_is_a_duplicate_when_the_identity_was_disabled_meanwhile() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (text, first) = delivers(&human, &identity).await;
    let off = UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        imessage_enabled: Some(false),
        ..Default::default()
    };
    app.admin("org_a").await.update_identity(off).await.unwrap();
    assert_redelivery(&app, &human, &text, &first).await;
}

#[tokio::test]
async fn a_redelivery_is_a_duplicate_after_release_and_after_a_reconnect() {
    let app = with_one_line().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (text, first) = delivers(&human, &identity).await;
    human.disconnects(&identity).await;
    assert_redelivery(&app, &human, &text, &first).await;
    human.connects(&identity).await;
    assert_redelivery(&app, &human, &text, &first).await;
}

#[tokio::test]
async fn a_redelivery_stays_with_the_first_agent_after_the_human_moved_on_the_same_line() {
    let app = with_one_line().await;
    let human = Human::new(&app, "+15551230001").await;
    for next_organization in ["org_a", "org_b"] {
        let (identity, next) = (app.identity("org_a").await, app.identity(next_organization).await);
        let (text, first) = delivers(&human, &identity).await;
        human.disconnects(&identity).await;
        human.connects(&next).await;
        assert_redelivery(&app, &human, &text, &first).await;

        let agent = app.agent(&next).await;
        let listed = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
        assert!(listed.conversations.is_empty(), "{next_organization}: {listed:?}");
        human.disconnects(&next).await;
    }
}

#[tokio::test]
async fn one_provider_id_on_two_lines_is_two_messages() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    let mut stored = Vec::new();
    for _ in 0..2 {
        let thread = human.connects(&app.identity("org_a").await).await;
        let mut text = human.text(&thread.line, "hello");
        text.provider_message_id = "one-id".to_owned();
        let answer = human.router.receive_message(text).await.unwrap();
        assert_eq!(answer.outcome(), ReceiveOutcome::Stored);
        stored.push(answer.message_id);
    }
    assert_ne!(stored[0], stored[1]);
}
