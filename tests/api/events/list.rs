use std::time::Duration;

use inkbox_imessage::proto::*;
use tokio::time::Instant;

use super::{listed, page, texts, types};
use crate::support::{Human, Scene, TestApp, Watcher, assert_fields, assert_reason, eventually};

#[tokio::test]
async fn pages_have_the_same_events_as_the_stream_in_the_same_order() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let mut watcher = Watcher::start(&agent).await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "0").await;
    for n in 1..10 {
        human.says(&thread, &n.to_string()).await;
    }
    let streamed = watcher.take(11).await;
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let answer = page(&agent, ListEventsRequest { after, limit: Some(3), ..Default::default() }).await;
        after = answer.cursor;
        if answer.events.is_empty() {
            break;
        }
        assert!(answer.events.len() <= 3);
        paged.extend(answer.events);
    }
    let content = |events: &[Event]| -> Vec<Event> {
        events.iter().map(|event| Event { cursor: String::new(), ..event.clone() }).collect()
    };
    assert_eq!(content(&paged), content(&streamed));
    assert_eq!(texts(&paged[1..]), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let times: Vec<_> = paged.iter().map(|event| event.occurred_at.unwrap()).collect();
    assert!(times.is_sorted_by_key(|time| (time.seconds, time.nanos)));
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_event() {
    let scene = Scene::start().await;
    let cursor =
        page(&scene.agent, ListEventsRequest { limit: Some(200), ..Default::default() }).await.cursor;
    let poll = ListEventsRequest { after: cursor, wait_seconds: Some(30), ..Default::default() };
    let agent = scene.agent.clone();
    let waiting = tokio::spawn(async move { agent.list_events(poll).await.unwrap() });
    let streams = || scene.app.parts.admission.streams.used();
    eventually("the call waits", async || (streams() == 1).then_some(())).await;
    assert_eq!(scene.app.parts.admission.calls.used(), 0, "it does not count as a call");
    scene.human.says(&scene.thread, "at last").await;
    assert_eq!(texts(&waiting.await.unwrap().events), ["at last"]);
    eventually("its place is free", async || (streams() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_long_poll_without_an_event_answers_with_an_empty_page_in_time() {
    let scene = Scene::start().await;
    let cursor =
        page(&scene.agent, ListEventsRequest { limit: Some(200), ..Default::default() }).await.cursor;
    let poll = ListEventsRequest { after: cursor, wait_seconds: Some(1), ..Default::default() };
    let began = Instant::now();
    let answer = page(&scene.agent, poll.clone()).await;
    assert!(answer.events.is_empty() && !answer.cursor.is_empty());
    assert!(began.elapsed() >= Duration::from_secs(1));
    let mut short = scene.agent.request(ListEventsRequest { wait_seconds: Some(30), ..poll });
    short.set_timeout(Duration::from_millis(700));
    let mut client = event_service_client::EventServiceClient::new(scene.agent.channel.clone());
    let answer = client.list_events(short).await.expect("an answer before the client's deadline");
    assert!(answer.into_inner().events.is_empty());
}

#[tokio::test]
async fn filters_select_events_and_the_cursor_goes_on_after_the_others() {
    let scene = Scene::start().await;
    let (thread, other) = {
        let human = Human::new(&scene.app, "+15551230002").await;
        let (thread, id) = human.converses(&scene.identity, "of another").await;
        ((human, thread), id)
    };
    let with = |types: &[EventType], conversation_id: Option<&str>| ListEventsRequest {
        types: types.iter().map(|kind| (*kind).into()).collect(),
        conversation_id: conversation_id.map(Into::into),
        ..Default::default()
    };
    let opened = page(&scene.agent, with(&[EventType::ConnectionOpened], None)).await;
    assert_eq!(types(&opened.events), [EventType::ConnectionOpened; 2]);
    let of_other = page(&scene.agent, with(&[], Some(&other))).await;
    assert_eq!(texts(&of_other.events), ["of another"]);
    let both = [EventType::MessageReceived, EventType::ConnectionOpened];
    assert_eq!(page(&scene.agent, with(&both, None)).await.events.len(), 4);
    // The cursor after nothing was found is at the end.
    let none = page(&scene.agent, with(&[EventType::ReactionRemoved], None)).await;
    assert!(none.events.is_empty());
    thread.0.says(&thread.1, "new").await;
    let after = ListEventsRequest { after: none.cursor, ..Default::default() };
    assert_eq!(texts(&page(&scene.agent, after).await.events), ["new"]);
}

#[tokio::test]
async fn invalid_fields_are_named() {
    let scene = Scene::start().await;
    let bad = ListEventsRequest {
        agent_identity_id: Some("x".to_owned()),
        conversation_id: Some(String::new()),
        types: vec![1, 0, 77],
        limit: Some(201),
        wait_seconds: Some(31),
        ..Default::default()
    };
    let fields = ["agent_identity_id", "conversation_id", "types[1]", "types[2]", "limit", "wait_seconds"];
    assert_fields(scene.admin.list_events(bad).await, &fields);
    for (limit, wait) in [(0, 0), (-1, 0)] {
        let request =
            ListEventsRequest { limit: Some(limit), wait_seconds: Some(wait), ..Default::default() };
        assert_fields(scene.admin.list_events(request).await, &["limit"]);
    }
    let negative = ListEventsRequest { wait_seconds: Some(-1), ..Default::default() };
    assert_fields(scene.admin.list_events(negative).await, &["wait_seconds"]);
    assert_reason(
        Watcher::open(&scene.admin, WatchEventsRequest { types: vec![0], ..Default::default() })
            .await
            .map(|_| ()),
        "INVALID_ARGUMENT",
    );
}

#[tokio::test]
async fn an_organization_without_events_has_an_empty_page_and_a_cursor_for_its_first_one() {
    let app = TestApp::start().await;
    let admin = app.admin("org_new").await;
    let first = page(&admin, ListEventsRequest::default()).await;
    assert!(first.events.is_empty());
    let identity = app.identity("org_new").await;
    Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let after = page(&admin, ListEventsRequest { after: first.cursor, ..Default::default() }).await;
    assert_eq!(types(&after.events), [EventType::ConnectionOpened, EventType::MessageReceived]);
    assert_eq!(listed(&admin).await.len(), 2);
}
