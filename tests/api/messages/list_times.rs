//! `start_time` and `end_time` of `ListMessages`.

use inkbox_imessage::proto::{ListMessagesRequest, Message};
use prost_types::Timestamp;

use super::all_messages;
use super::scene::{Scene, filters};
use crate::support::assert_fields;
use crate::support::callers::Caller;

async fn list(caller: &Caller, request: ListMessagesRequest) -> Vec<Message> {
    caller.list_messages(request).await.unwrap().messages
}

fn at(time: &Timestamp) -> (i64, i32) {
    (time.seconds, time.nanos)
}

/// Whether a message is in a range.
fn is_in(message: &Message, start: Option<&Timestamp>, end: Option<&Timestamp>) -> bool {
    let created = at(message.created_at.as_ref().unwrap());
    start.is_none_or(|start| created >= at(start)) && end.is_none_or(|end| created < at(end))
}

/// The request with a range, and what it lists: the messages in the range that the request lists without one.
async fn ranges(caller: &Caller, request: ListMessagesRequest) -> Vec<(ListMessagesRequest, Vec<Message>)> {
    let all = list(caller, request.clone()).await;
    let time = |place: usize| all.get(place).and_then(|message| message.created_at);
    let bounds = [None, time(0), time(1), time(all.len() / 2), time(all.len().saturating_sub(1))];
    let mut ranges = Vec::new();
    for start_time in bounds {
        for end_time in bounds {
            let within = all.iter().filter(|one| is_in(one, start_time.as_ref(), end_time.as_ref()));
            let request = ListMessagesRequest { start_time, end_time, ..request.clone() };
            ranges.push((request, within.cloned().collect()));
        }
    }
    ranges
}

#[tokio::test]
async fn every_scope_and_filter_lists_the_messages_from_the_start_and_before_the_end() {
    let scene = Scene::set().await;
    let of_admin = scene.scopes_of_admin().into_iter().map(|(scope, _)| (&scene.admin, scope));
    let of_agent = scene.scopes_of_agent().into_iter().map(|(scope, _)| (&scene.agents[0], scope));
    for (caller, scope) in of_admin.chain(of_agent) {
        for (is_blocked, is_read) in filters() {
            let request = ListMessagesRequest { is_blocked, is_read, ..scope.clone() };
            for (request, expected) in ranges(caller, request).await {
                assert_eq!(list(caller, request.clone()).await, expected, "{request:?}");
                // By pages with an offset, which each skip what the ones before them have.
                let mut paged = Vec::new();
                for offset in (0..).step_by(3) {
                    let page =
                        ListMessagesRequest { limit: Some(3), offset: Some(offset), ..request.clone() };
                    let page = list(caller, page).await;
                    let is_last = page.len() < 3;
                    paged.extend(page);
                    if is_last {
                        break;
                    }
                }
                assert_eq!(paged, expected, "{request:?}");
            }
        }
    }
}

#[tokio::test]
async fn pages_by_token_have_each_message_of_the_range_once_and_tokens_are_bound_to_the_range() {
    let scene = Scene::set().await;
    let all = all_messages(&scene.admin).await;
    let (start_time, end_time) = (all[20].created_at, all[3].created_at);
    for (is_blocked, is_read) in filters() {
        let request = ListMessagesRequest { is_blocked, is_read, start_time, end_time, ..Default::default() };
        let expected = list(&scene.admin, request.clone()).await;
        let (mut walked, mut page) = (Vec::new(), ListMessagesRequest { limit: Some(2), ..request.clone() });
        loop {
            let answer = scene.admin.list_messages(page.clone()).await.unwrap();
            walked.extend(answer.messages);
            page.page_token = answer.next_page_token;
            if page.page_token.is_empty() {
                break;
            }
            for (start_time, end_time) in [(None, None), (start_time, None), (None, end_time)] {
                let elsewhere = ListMessagesRequest { start_time, end_time, ..page.clone() };
                assert_fields(scene.admin.list_messages(elsewhere).await, &["page_token"]);
            }
        }
        assert_eq!(walked, expected, "{request:?}");
    }
}

#[tokio::test]
async fn a_bound_between_two_microseconds_means_the_later_one() {
    let scene = Scene::set().await;
    let newest = all_messages(&scene.admin).await.remove(0);
    let created = newest.created_at.unwrap();
    let later = Some(Timestamp { nanos: created.nanos + 1, ..created });
    let from = ListMessagesRequest { start_time: later, ..Default::default() };
    assert_eq!(list(&scene.admin, from).await, []);
    let before = ListMessagesRequest { end_time: later, limit: Some(1), ..Default::default() };
    assert_eq!(list(&scene.admin, before).await, [newest]);
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let scene = Scene::set().await;
    let wrong = Some(Timestamp { seconds: 253_402_300_800, nanos: 0 });
    let request = ListMessagesRequest { start_time: wrong, end_time: wrong, ..Default::default() };
    assert_fields(scene.admin.list_messages(request).await, &["start_time", "end_time"]);
}
