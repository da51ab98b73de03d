use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    AssignmentStatus, GetConversationRequest, ListConversationsRequest, MessageDirection,
    ReceiveMessageRequest,
};

use super::{listed, numbers, only, timestamp};
use crate::support::assertions::assert_names_no_line;
use crate::support::{Human, TestApp};

#[tokio::test]
async fn the_newest_message_comes_first() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let first = Human::new(&app, "+15551230001").await;
    let second = Human::new(&app, "+15551230002").await;
    let third = Human::new(&app, "+15551230003").await;
    let (thread, _) = first.converses(&identity, "hello").await;
    second.converses(&identity, "hello").await;
    third.converses(&identity, "hello").await;
    first.says(&thread, "me again").await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        assert_eq!(numbers(&listed(&caller, None).await), [&first.number, &third.number, &second.number]);
    }
}

#[tokio::test]
async fn equal_times_are_ordered_by_id() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let sent_at = Some(timestamp(app.clock.now()));
    let mut ids = Vec::new();
    for number in ["+15551230003", "+15551230001", "+15551230004", "+15551230002"] {
        let human = Human::new(&app, number).await;
        let thread = human.connects(&identity).await;
        let text = ReceiveMessageRequest { sent_at, ..human.text(&thread.line, "hello") };
        ids.push(human.router.receive_message(text).await.unwrap().conversation_id.unwrap());
    }
    ids.sort_unstable();
    ids.reverse();

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let rows = listed(&caller, None).await;
        assert!(rows.iter().all(|row| row.latest_message_at == sent_at), "{rows:?}");
        assert_eq!(rows.into_iter().map(|row| row.id).collect::<Vec<_>>(), ids);
    }
}

#[tokio::test]
async fn a_row_is_the_conversation_with_its_newest_message_and_counts() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    app.clock.freeze(app.clock.now());
    human.says(&thread, "anyone there?").await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let got = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
        let got = caller.get_conversation(got).await.unwrap().conversation.unwrap();
        let row = only(&caller, None).await;
        assert_eq!(row.id, got.id);
        assert_eq!(row.assignment_id, got.assignment_id);
        assert_eq!(row.assignment_status, got.assignment_status);
        assert_eq!(row.remote_number, got.remote_number);
        assert_eq!(row.created_at, got.created_at);
        assert_eq!(row.updated_at, got.updated_at);
        assert_eq!(row.agent_identity_id, got.agent_identity_id);
        assert_eq!(row.latest_text.as_deref(), Some("anyone there?"));
        assert_eq!(row.latest_message_at, Some(timestamp(app.clock.now())));
        assert_eq!(row.latest_direction(), MessageDirection::Inbound);
        assert!(!row.latest_has_media);
        assert_eq!((row.unread_count, row.total_count), (2, 2));
    }
}

#[tokio::test]
async fn connected_but_silent_is_not_listed() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        assert_eq!(listed(&caller, None).await, []);
    }
    human.says(&thread, "hello").await;
    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        assert_eq!(only(&caller, None).await.remote_number, human.number);
    }
}

#[tokio::test]
async fn a_released_conversation_stays_listed_and_turns_active_when_the_human_reconnects() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (first, id) = human.converses(&identity, "hello").await;
    human.disconnects(&identity).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let row = only(&caller, None).await;
        assert_eq!((&row.id, &row.assignment_id), (&id, &first.connection_id));
        assert_eq!(row.assignment_status(), AssignmentStatus::Released);
        assert_eq!(row.latest_text.as_deref(), Some("hello"));
    }
    let second = human.connects(&identity).await;
    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let row = only(&caller, None).await;
        assert_eq!((&row.id, &row.assignment_id), (&id, &second.connection_id));
        assert_eq!(row.assignment_status(), AssignmentStatus::Active);
        assert_eq!((row.unread_count, row.total_count), (1, 1));
    }
}

#[tokio::test]
async fn no_line_number_is_shown() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    human.converses(&identity, "hello").await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let answer = caller.list_conversations(ListConversationsRequest::default()).await.unwrap();
        assert_eq!(answer.conversations.len(), 1);
        assert_names_no_line(&answer);
    }
}
