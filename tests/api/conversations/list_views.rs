use chrono::TimeDelta;
use inkbox_imessage::proto::{
    ConversationSummary, GetConversationRequest, ListConnectionsRequest, ListConversationsRequest, Media,
    MessageDirection, ReceiveMessageRequest,
};
use prost_types::Timestamp;

use super::{listed, numbers, only, receive_blocked, says_blocked};
use crate::support::{Human, Scene, TestApp, rows};

const ALL: Option<bool> = None;
const CLEAR: Option<bool> = Some(false);
const BLOCKED: Option<bool> = Some(true);

/// Preview, unread and total of a row.
fn sums(row: &ConversationSummary) -> (Option<&str>, i32, i32) {
    (row.latest_text.as_deref(), row.unread_count, row.total_count)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 }
}

#[tokio::test]
async fn each_view_has_its_own_preview_unread_and_total() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "one").await;
    human.says(&thread, "two").await;
    says_blocked(&app, &identity, &human, &thread, "spam").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    assert_eq!(sums(&only(&admin, ALL).await), (Some("spam"), 3, 3));
    assert_eq!(sums(&only(&admin, CLEAR).await), (Some("two"), 2, 2));
    assert_eq!(sums(&only(&admin, BLOCKED).await), (Some("spam"), 1, 1));

    human.says(&thread, "three").await;
    assert_eq!(sums(&only(&admin, ALL).await), (Some("three"), 4, 4));
    assert_eq!(sums(&only(&admin, CLEAR).await), (Some("three"), 3, 3));
    assert_eq!(sums(&only(&admin, BLOCKED).await), (Some("spam"), 1, 1));
    assert_eq!(only(&agent, ALL).await, only(&admin, CLEAR).await);

    says_blocked(&app, &identity, &human, &thread, "more spam").await;
    assert_eq!(sums(&only(&admin, ALL).await), (Some("more spam"), 5, 5));
    assert_eq!(sums(&only(&admin, CLEAR).await), (Some("three"), 3, 3));
    assert_eq!(sums(&only(&admin, BLOCKED).await), (Some("more spam"), 2, 2));
}

#[tokio::test]
async fn an_identity_key_sees_no_blocked_message_whatever_it_asks_for() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let stranger = Human::new(&app, "+15551230002").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    says_blocked(&app, &identity, &human, &thread, "spam").await;
    let thread = stranger.connects(&identity).await;
    says_blocked(&app, &identity, &stranger, &thread, "spam").await;

    let agent = app.agent(&identity).await;
    for view in [ALL, CLEAR] {
        let row = only(&agent, view).await;
        assert_eq!((row.remote_number.as_str(), sums(&row)), ("+15551230001", (Some("hello"), 1, 1)));
    }
    let request = ListConversationsRequest { is_blocked: BLOCKED, ..Default::default() };
    let nothing = agent.list_conversations(request).await.unwrap();
    assert_eq!((nothing.conversations, nothing.next_page_token), (vec![], String::new()));
}

#[tokio::test]
async fn a_conversation_is_listed_only_where_the_view_has_a_message_of_it() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let clear = Human::new(&app, "+15551230001").await;
    let blocked = Human::new(&app, "+15551230002").await;
    let both = Human::new(&app, "+15551230003").await;
    clear.converses(&identity, "hello").await;
    let thread = blocked.connects(&identity).await;
    says_blocked(&app, &identity, &blocked, &thread, "spam").await;
    let (thread, _) = both.converses(&identity, "hello").await;
    says_blocked(&app, &identity, &both, &thread, "spam").await;

    let named = Some(identity.id.clone());
    let admin = app.admin("org_a").await;
    for agent_identity_id in [None, named] {
        for (is_blocked, expected) in [
            (ALL, vec![&both.number, &blocked.number, &clear.number]),
            (CLEAR, vec![&both.number, &clear.number]),
            (BLOCKED, vec![&both.number, &blocked.number]),
        ] {
            let agent_identity_id = agent_identity_id.clone();
            let request = ListConversationsRequest { is_blocked, agent_identity_id, ..Default::default() };
            let rows = admin.list_conversations(request).await.unwrap().conversations;
            assert_eq!(numbers(&rows), expected, "{is_blocked:?}");
        }
    }
}

#[tokio::test]
async fn the_order_is_that_of_the_newest_message_in_the_view() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (mut in_all, mut in_clear, mut in_blocked) = (Vec::new(), Vec::new(), Vec::new());
    // Second at which each human's newest clear and blocked message was sent.
    for (number, clear, blocked) in [("+15551230001", 1, 6), ("+15551230002", 5, 2), ("+15551230003", 3, 4)] {
        let human = Human::new(&app, number).await;
        let thread = human.connects(&identity).await;
        let text = ReceiveMessageRequest { sent_at: Some(at(clear)), ..human.text(&thread.line, "hello") };
        human.router.receive_message(text).await.unwrap();
        let text = ReceiveMessageRequest { sent_at: Some(at(blocked)), ..human.text(&thread.line, "spam") };
        receive_blocked(&app, &identity, &human, text).await;
        in_all.push((clear.max(blocked), number));
        in_clear.push((clear, number));
        in_blocked.push((blocked, number));
    }

    let admin = app.admin("org_a").await;
    for (view, mut expected) in [(ALL, in_all), (CLEAR, in_clear), (BLOCKED, in_blocked)] {
        expected.sort_unstable();
        expected.reverse();
        let shown: Vec<_> = listed(&admin, view)
            .await
            .into_iter()
            .map(|row| (row.latest_message_at.unwrap(), row.remote_number))
            .collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(second, number)| (at(second), number.to_owned())).collect();
        assert_eq!(shown, expected, "{view:?}");
    }
}

#[tokio::test]
async fn a_blocked_message_changes_nothing_that_an_identity_key_sees() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    other.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let seen = async || {
        let get = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
        (
            listed(&agent, ALL).await,
            agent.get_conversation(get).await.unwrap(),
            agent.list_connections(ListConnectionsRequest::default()).await.unwrap(),
        )
    };
    let before = seen().await;

    app.clock.advance(TimeDelta::minutes(1));
    let spam = human.text(&thread.line, "spam");
    let late = ReceiveMessageRequest { sent_at: Some(at(0)), ..human.text(&thread.line, "late spam") };
    let photo = ReceiveMessageRequest {
        text: None,
        media: vec![Media { url: "https://example.com/spam.jpg".to_owned(), ..Default::default() }],
        ..human.text(&thread.line, "")
    };
    for text in [spam, late, photo] {
        receive_blocked(&app, &identity, &human, text).await;
        assert_eq!(seen().await, before);
    }
}

#[tokio::test]
async fn all_messages_are_previewed_by_the_newest_of_them_however_late_the_others_arrive() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let admin = app.admin("org_a").await;
    let text = |second: i64| {
        let text = human.text(&thread.line, &format!("sent at {second}"));
        ReceiveMessageRequest { sent_at: Some(at(second)), ..text }
    };
    // Second of sending, whether blocked; then the newest second of all, clear and blocked so far.
    for (second, is_blocked, [all, clear, blocked]) in [
        (50, true, [50, -1, 50]),
        (40, false, [50, 40, 50]),
        (45, false, [50, 45, 50]),
        (60, false, [60, 60, 50]),
        (55, true, [60, 60, 55]),
        (20, true, [60, 60, 55]),
        (70, true, [70, 60, 70]),
        (65, false, [70, 65, 70]),
        (80, false, [80, 80, 70]),
    ] {
        if is_blocked {
            receive_blocked(&app, &identity, &human, text(second)).await;
        } else {
            human.router.receive_message(text(second)).await.unwrap();
        }
        for (view, newest) in [(ALL, all), (CLEAR, clear), (BLOCKED, blocked)] {
            let shown: Vec<_> = listed(&admin, view)
                .await
                .into_iter()
                .map(|row| (row.latest_message_at.unwrap(), row.latest_text.unwrap()))
                .collect();
            let expected: Vec<_> =
                [newest].iter().filter(|s| **s >= 0).map(|s| (at(*s), format!("sent at {s}"))).collect();
            assert_eq!(shown, expected, "{view:?} after {second}");
        }
    }
}

#[tokio::test]
async fn media_and_direction_are_those_of_the_newest_message_in_the_view() {
    let Scene { app, identity, human, thread, conversation_id: id, .. } = Scene::start().await;
    rows::agent_spoke_last(&app.pool, &id).await;
    let photo = ReceiveMessageRequest {
        text: None,
        media: vec![Media { url: "https://example.com/spam.jpg".to_owned(), ..Default::default() }],
        ..human.text(&thread.line, "")
    };
    receive_blocked(&app, &identity, &human, photo).await;

    let admin = app.admin("org_a").await;
    for view in [ALL, BLOCKED] {
        let row = only(&admin, view).await;
        assert_eq!((&row.latest_text, row.latest_has_media), (&None, true), "{view:?}");
        assert_eq!(row.latest_direction(), MessageDirection::Inbound, "{view:?}");
    }
    let row = only(&admin, CLEAR).await;
    assert_eq!((row.latest_text.as_deref(), row.latest_has_media), (Some("hello"), false));
    assert_eq!(row.latest_direction(), MessageDirection::Outbound);
}

#[tokio::test]
async fn a_preview_of_blocked_text_is_cut_like_any_other() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    says_blocked(&app, &identity, &human, &thread, &"é".repeat(300)).await;

    let admin = app.admin("org_a").await;
    for view in [ALL, BLOCKED] {
        assert_eq!(only(&admin, view).await.latest_text, Some("é".repeat(256)), "{view:?}");
    }
}
