//! `start_time` and `end_time` of `ListConversations`.

use inkbox_imessage::proto::{ConversationSummary, Identity, ListConversationsRequest};
use prost_types::Timestamp;

use super::says_blocked;
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_fields};

const VIEWS: [Option<bool>; 3] = [None, Some(false), Some(true)];

/// Six conversations, created one after the other, of which the even ones also have a blocked message. The first one has
/// the newest message.
async fn scene() -> (TestApp, Identity, Caller, Vec<ConversationSummary>) {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let mut threads = Vec::new();
    for number in 0..6 {
        let human = Human::new(&app, &format!("+1555123000{number}")).await;
        let (thread, _) = human.converses(&identity, "hello").await;
        if number % 2 == 0 {
            says_blocked(&app, &identity, &human, &thread, "spam").await;
        }
        threads.push((human, thread));
    }
    let (human, thread) = &threads[0];
    human.says(thread, "again").await;
    let mut all = list(&admin, ListConversationsRequest::default()).await;
    all.sort_by_key(|row| nanos(row.created_at.as_ref().unwrap()));
    (app, identity, admin, all)
}

async fn list(caller: &Caller, request: ListConversationsRequest) -> Vec<ConversationSummary> {
    caller.list_conversations(request).await.unwrap().conversations
}

fn nanos(time: &Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

/// A time shifted by nanoseconds.
fn shifted(time: &Timestamp, by: i128) -> Timestamp {
    let nanos = nanos(time) + by;
    Timestamp {
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap(),
        nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap(),
    }
}

/// Bounds of which each conversation is on either side, and none.
fn bounds(all: &[ConversationSummary]) -> Vec<Option<Timestamp>> {
    let of_each = all.iter().flat_map(|row| {
        let time = row.created_at.as_ref().unwrap();
        [Some(*time), Some(shifted(time, 1)), Some(shifted(time, -1))]
    });
    of_each.chain([None]).collect()
}

#[tokio::test]
async fn a_conversation_is_listed_that_was_created_from_the_start_and_before_the_end() {
    let (app, identity, admin, all) = scene().await;
    let agent = app.agent(&identity).await;
    for (caller, views) in [(&admin, &VIEWS[..]), (&agent, &VIEWS[..2])] {
        for is_blocked in views {
            for of_identity in [None, Some(identity.id.clone())] {
                let request = |start_time, end_time| ListConversationsRequest {
                    is_blocked: *is_blocked,
                    agent_identity_id: of_identity.clone(),
                    start_time,
                    end_time,
                    ..Default::default()
                };
                let unbounded = list(caller, request(None, None)).await;
                for start in bounds(&all) {
                    for end in [None, bounds(&all)[6]] {
                        let is_in = |row: &&ConversationSummary| {
                            let at = nanos(row.created_at.as_ref().unwrap());
                            start.as_ref().is_none_or(|start| at >= nanos(start))
                                && end.as_ref().is_none_or(|end| at < nanos(end))
                        };
                        let expected: Vec<_> = unbounded.iter().filter(is_in).cloned().collect();
                        assert_eq!(list(caller, request(start, end)).await, expected, "{start:?} {end:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn pages_of_a_range_have_each_conversation_once_and_tokens_are_bound_to_the_range() {
    let (_app, _, admin, all) = scene().await;
    let (start_time, end_time) = (all[1].created_at, all[5].created_at);
    let request = ListConversationsRequest { start_time, end_time, limit: Some(1), ..Default::default() };
    let expected = list(&admin, ListConversationsRequest { limit: None, ..request.clone() }).await;
    assert_eq!(expected.len(), 4);
    for offset in 0..=4 {
        let page = ListConversationsRequest { offset: Some(offset), ..request.clone() };
        let rest = expected.iter().skip(usize::try_from(offset).unwrap()).take(1).cloned();
        assert_eq!(list(&admin, page).await, rest.collect::<Vec<_>>());
    }
    let (mut walked, mut page) = (Vec::new(), request.clone());
    loop {
        let answer = admin.list_conversations(page.clone()).await.unwrap();
        walked.extend(answer.conversations);
        page.page_token = answer.next_page_token;
        if page.page_token.is_empty() {
            break;
        }
        for (start_time, end_time) in
            [(None, None), (start_time, None), (None, end_time), (end_time, start_time)]
        {
            let elsewhere = ListConversationsRequest { start_time, end_time, ..page.clone() };
            assert_fields(admin.list_conversations(elsewhere).await, &["page_token"]);
        }
    }
    assert_eq!(walked, expected);
}

#[tokio::test]
async fn an_end_before_the_start_lists_nothing_and_a_time_that_is_none_is_refused() {
    let (_app, _, admin, all) = scene().await;
    let backwards = ListConversationsRequest {
        start_time: all[5].created_at,
        end_time: all[0].created_at,
        ..Default::default()
    };
    assert_eq!(list(&admin, backwards).await, []);
    let wrong = Some(Timestamp { seconds: 0, nanos: -1 });
    let request = ListConversationsRequest { start_time: wrong, end_time: wrong, ..Default::default() };
    assert_fields(admin.list_conversations(request).await, &["start_time", "end_time"]);
}
