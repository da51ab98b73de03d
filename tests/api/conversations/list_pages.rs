use inkbox_imessage::proto::{
    ConversationSummary, Identity, ListConversationsRequest, ListConversationsResponse, ReceiveMessageRequest,
};
use prost_types::Timestamp;

use super::{listed, numbers, receive_blocked};
use crate::support::callers::Caller;
use crate::support::human::Thread;
use crate::support::{Human, TestApp, assert_fields, rows};

/// More pages than any list of these tests has: a walk that goes round in circles ends here.
const MOST_PAGES: usize = 50;

fn page(limit: i32, page_token: &str) -> ListConversationsRequest {
    ListConversationsRequest { limit: Some(limit), page_token: page_token.to_owned(), ..Default::default() }
}

fn ids(rows: &[ConversationSummary]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

/// Follows the tokens from the first page to the last.
async fn walk(caller: &Caller, mut request: ListConversationsRequest) -> Vec<ListConversationsResponse> {
    let mut pages = Vec::new();
    loop {
        let page = caller.list_conversations(request.clone()).await.unwrap();
        request.page_token.clone_from(&page.next_page_token);
        pages.push(page);
        if request.page_token.is_empty() {
            return pages;
        }
        assert!(pages.len() < MOST_PAGES, "{request:?}");
    }
}

/// Nine humans who talk to two identities by turns, three at each second; five of them are blocked once, at one of two
/// seconds.
async fn crowd(app: &TestApp, identities: [&Identity; 2]) -> Vec<(Human, Thread)> {
    let router = app.router().await;
    let mut crowd = Vec::new();
    for n in 0..9 {
        let identity = identities[n % 2];
        let human = Human { number: format!("+1555123000{n}"), router: router.clone() };
        let thread = human.connects(identity).await;
        let second = i64::try_from(n / 3).unwrap();
        let sent_at = Some(Timestamp { seconds: 1_700_000_000 - second, nanos: 0 });
        let text = ReceiveMessageRequest { sent_at, ..human.text(&thread.line, "hello") };
        router.receive_message(text).await.unwrap();
        if n % 4 < 2 {
            let second = i64::try_from(n / 5).unwrap();
            let sent_at = Some(Timestamp { seconds: 1_700_000_000 + second, nanos: 0 });
            let text = ReceiveMessageRequest { sent_at, ..human.text(&thread.line, "spam") };
            receive_blocked(app, identity, &human, text).await;
        }
        crowd.push((human, thread));
    }
    crowd
}

#[tokio::test]
async fn paging_by_token_visits_every_row_once_in_order_in_every_view() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    crowd(&app, [&one, &two]).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&one).await);
    let nobody = None;
    let named = Some(one.id.clone());

    for (caller, agent_identity_id, is_blocked, count) in [
        (&admin, &nobody, None, 9),
        (&admin, &nobody, Some(false), 9),
        (&admin, &nobody, Some(true), 5),
        (&admin, &named, None, 5),
        (&admin, &named, Some(true), 3),
        (&agent, &nobody, None, 5),
        (&agent, &named, Some(false), 5),
        (&agent, &nobody, Some(true), 0),
    ] {
        let request = ListConversationsRequest {
            agent_identity_id: agent_identity_id.clone(),
            is_blocked,
            ..Default::default()
        };
        let whole = caller.list_conversations(request.clone()).await.unwrap().conversations;
        assert_eq!(whole.len(), count, "{request:?}");
        for limit in [1, 2, 3, 5, 7] {
            let pages =
                walk(caller, ListConversationsRequest { limit: Some(limit), ..request.clone() }).await;
            let size = usize::try_from(limit).unwrap();
            assert_eq!(pages.len(), count.div_ceil(size).max(1), "{request:?} by {limit}");
            let walked: Vec<_> = pages.into_iter().flat_map(|page| page.conversations).collect();
            assert_eq!(walked, whole, "{request:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn rows_that_do_not_move_are_neither_skipped_nor_repeated_while_others_do() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    let crowd = crowd(&app, [&one, &two]).await;
    let admin = app.admin("org_a").await;
    let before = listed(&admin, None).await;
    let moving = [0, 3, 7].map(|row: usize| before[row].remote_number.clone());
    let mut movers = moving.iter().cycle();

    let mut walked = Vec::new();
    let mut token = String::new();
    loop {
        let answer = admin.list_conversations(page(2, &token)).await.unwrap();
        walked.extend(answer.conversations);
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
        assert!(walked.len() < MOST_PAGES, "{walked:?}");
        let mover = movers.next().unwrap();
        let (human, thread) = crowd.iter().find(|(human, _)| human.number == *mover).unwrap();
        human.says(thread, "me again").await;
    }
    let still = |rows: Vec<ConversationSummary>| {
        rows.into_iter().filter(|row| !moving.contains(&row.remote_number)).collect::<Vec<_>>()
    };
    assert_eq!(still(walked), still(before));
}

#[tokio::test]
async fn a_full_last_page_has_no_token() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rows::many_conversations(&app.pool, &identity, 4).await;
    let admin = app.admin("org_a").await;

    let first = admin.list_conversations(page(2, "")).await.unwrap();
    assert_eq!(first.conversations.len(), 2);
    let last = admin.list_conversations(page(2, &first.next_page_token)).await.unwrap();
    assert_eq!((last.conversations.len(), last.next_page_token.as_str()), (2, ""));
    let whole = admin.list_conversations(page(4, "")).await.unwrap();
    assert_eq!((whole.conversations.len(), whole.next_page_token.as_str()), (4, ""));
}

#[tokio::test]
async fn limit_is_50_when_absent_and_at_most_200() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rows::many_conversations(&app.pool, &identity, 201).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        for (limit, count) in [(None, 50), (Some(1), 1), (Some(200), 200)] {
            let request = ListConversationsRequest { limit, ..Default::default() };
            let answer = caller.list_conversations(request).await.unwrap();
            assert_eq!(answer.conversations.len(), count, "{limit:?}");
            assert!(!answer.next_page_token.is_empty(), "{limit:?}");
        }
        for limit in [0, 201, -1, i32::MAX, i32::MIN] {
            assert_fields(caller.list_conversations(page(limit, "")).await, &["limit"]);
        }
    }
}

#[tokio::test]
async fn limit_may_change_from_page_to_page() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    crowd(&app, [&one, &two]).await;
    let admin = app.admin("org_a").await;

    let mut walked = Vec::new();
    let mut token = String::new();
    for limit in [2, 1, 4, 200] {
        let answer = admin.list_conversations(page(limit, &token)).await.unwrap();
        walked.extend(answer.conversations);
        token = answer.next_page_token;
    }
    assert_eq!((walked, token), (listed(&admin, None).await, String::new()));
}

#[tokio::test]
async fn offset_skips_rows_and_its_page_goes_on_by_token() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    crowd(&app, [&one, &two]).await;
    let admin = app.admin("org_a").await;
    let whole = listed(&admin, None).await;
    let from = |offset| ListConversationsRequest { offset: Some(offset), ..page(3, "") };

    assert_eq!(admin.list_conversations(from(0)).await.unwrap().conversations, whole[..3]);
    let middle = admin.list_conversations(from(4)).await.unwrap();
    assert_eq!(ids(&middle.conversations), ids(&whole[4..7]));
    let rest = admin.list_conversations(page(200, &middle.next_page_token)).await.unwrap();
    assert_eq!(ids(&rest.conversations), ids(&whole[7..]));
    for (offset, expected) in [(6, &whole[6..]), (9, &[]), (i32::MAX, &[])] {
        let answer = admin.list_conversations(from(offset)).await.unwrap();
        assert_eq!(numbers(&answer.conversations), numbers(expected), "{offset}");
        assert_eq!(answer.next_page_token, "", "{offset}");
    }
    for offset in [-1, i32::MIN] {
        assert_fields(admin.list_conversations(from(offset)).await, &["offset"]);
    }
}
