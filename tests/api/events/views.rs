//! Who learns what from events.

use inkbox_imessage::proto::*;
use uuid::Uuid;

use super::{listed, page, texts, types};
use crate::support::assertions::assert_alike;
use crate::support::{Human, Scene, TestApp, Watcher, assert_reason, rows};

#[tokio::test]
async fn a_blocked_message_is_an_event_for_admin_keys_alone() {
    let scene = Scene::start().await;
    rows::block(&scene.app.pool, &scene.identity, &scene.human.number).await;
    let blocked_only = WatchEventsRequest { is_blocked: Some(true), ..Default::default() };
    let (mut of_admin, mut of_agent) =
        (Watcher::start(&scene.admin).await, Watcher::start(&scene.agent).await);
    let mut of_blocked = Watcher::open(&scene.admin, blocked_only.clone()).await.unwrap();
    scene.human.says(&scene.thread, "blocked").await;
    rows::remove_rules(&scene.app.pool, &scene.identity).await;
    scene.human.says(&scene.thread, "allowed").await;

    assert_eq!(texts(&of_admin.take(2).await), ["blocked", "allowed"]);
    assert_eq!(texts(&of_agent.take(1).await), ["allowed"]);
    assert_eq!(texts(&of_blocked.take(1).await), ["blocked"]);
    let list = |caller, is_blocked| {
        page(caller, ListEventsRequest { is_blocked, types: vec![1], ..Default::default() })
    };
    assert_eq!(texts(&list(&scene.admin, Some(false)).await.events), ["hello", "allowed"]);
    assert_eq!(texts(&list(&scene.admin, Some(true)).await.events), ["blocked"]);
    assert_eq!(texts(&list(&scene.agent, None).await.events), ["hello", "allowed"]);
    assert!(list(&scene.agent, Some(true)).await.events.is_empty());
}

#[tokio::test]
async fn a_long_poll_of_an_identity_key_does_not_end_with_a_blocked_message() {
    let scene = Scene::start().await;
    rows::block(&scene.app.pool, &scene.identity, &scene.human.number).await;
    let cursor =
        page(&scene.agent, ListEventsRequest { limit: Some(200), ..Default::default() }).await.cursor;
    let poll = ListEventsRequest { after: cursor, wait_seconds: Some(30), ..Default::default() };
    let (agent, admin) = (scene.agent.clone(), scene.admin.clone());
    let waiting = tokio::spawn(async move { agent.list_events(poll).await.unwrap() });
    let mut of_admin = Watcher::start(&admin).await;
    scene.human.says(&scene.thread, "blocked").await;
    assert_eq!(texts(&of_admin.take(1).await), ["blocked"]);
    assert!(!waiting.is_finished());
    rows::remove_rules(&scene.app.pool, &scene.identity).await;
    scene.human.says(&scene.thread, "allowed").await;
    assert_eq!(texts(&waiting.await.unwrap().events), ["allowed"]);
}

#[tokio::test]
async fn events_belong_to_their_organization_and_identity_keys_have_those_of_their_own_identity() {
    let app = TestApp::start().await;
    let (first, second) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    for (identity, text) in [(&first, "to first"), (&second, "to second"), (&foreign, "to foreign")] {
        human.converses(identity, text).await;
    }
    let received = |events: Vec<Event>| -> Vec<String> {
        let received = events.iter().filter(|event| event.r#type() == EventType::MessageReceived);
        received.map(|event| event.message.as_ref().unwrap().text.clone().unwrap()).collect()
    };
    assert_eq!(received(listed(&app.agent(&first).await).await), ["to first"]);
    assert_eq!(received(listed(&app.admin("org_a").await).await), ["to first", "to second"]);
    assert_eq!(received(listed(&app.admin("org_b").await).await), ["to foreign"]);
    let of_second = ListEventsRequest { agent_identity_id: Some(second.id.clone()), ..Default::default() };
    assert_eq!(received(page(&app.admin("org_a").await, of_second).await.events), ["to second"]);
}

#[tokio::test]
async fn what_a_caller_may_not_see_it_cannot_name() {
    let scene = Scene::start().await;
    let sibling = scene.app.identity("org_a").await;
    let foreign = scene.app.identity("org_b").await;
    let unknown = Uuid::from_u128(1).to_string();
    let of_identity =
        |id: &str| ListEventsRequest { agent_identity_id: Some(id.to_owned()), ..Default::default() };
    let of_conversation =
        |id: &str| ListEventsRequest { conversation_id: Some(id.to_owned()), ..Default::default() };
    let (admin, agent) = (&scene.admin, &scene.agent);
    let of_sibling = scene.app.agent(&sibling).await;
    assert_reason(agent.list_events(of_identity(&sibling.id)).await, "IDENTITY_MISMATCH");
    assert_reason(agent.list_events(of_identity(&unknown)).await, "IDENTITY_MISMATCH");
    assert_reason(admin.list_events(of_identity(&foreign.id)).await, "NOT_FOUND");
    assert_alike(
        admin.list_events(of_identity(&foreign.id)).await,
        admin.list_events(of_identity(&unknown)).await,
    );
    let id = &scene.conversation_id;
    assert_alike(
        of_sibling.list_events(of_conversation(id)).await,
        of_sibling.list_events(of_conversation(&unknown)).await,
    );
    let other = scene.app.admin("org_b").await;
    assert_alike(
        other.list_events(of_conversation(id)).await,
        other.list_events(of_conversation(&unknown)).await,
    );
    assert_reason(other.list_events(of_conversation(id)).await, "NOT_FOUND");
    let request = WatchEventsRequest { conversation_id: Some(id.clone()), ..Default::default() };
    assert_reason(Watcher::open(&of_sibling, request).await.map(|_| ()), "NOT_FOUND");
    assert_reason(scene.human.router.list_events(ListEventsRequest::default()).await, "SCOPE_INSUFFICIENT");
}

#[tokio::test]
async fn events_of_an_erased_pair_are_shown_to_nobody() {
    let scene = Scene::start().await;
    assert_eq!(listed(&scene.admin).await.len(), 2);
    scene.human.disconnects(&scene.identity).await;
    crate::rules::erasure::erase(&scene.app, "org_a", &scene.human, false).await;
    assert!(listed(&scene.admin).await.is_empty());
    scene.human.converses(&scene.identity, "again").await;
    let events = listed(&scene.admin).await;
    assert_eq!(types(&events), [EventType::ConnectionOpened, EventType::MessageReceived]);
}
