//! What is an event, and what it says.

use inkbox_imessage::proto::*;

use super::{listed, types};
use crate::messages::send;
use crate::support::{Human, Scene, TestApp, Watcher};

#[tokio::test]
async fn connecting_writing_and_disconnecting_are_events_in_this_order() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let mut watcher = Watcher::start(&admin).await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, conversation_id) = human.converses(&identity, "hello").await;
    human.disconnects(&identity).await;
    let again = human.connects(&identity).await;
    admin
        .release_connection(ReleaseConnectionRequest { connection_id: again.connection_id.clone() })
        .await
        .unwrap();

    let events = watcher.take(5).await;
    assert_eq!(
        types(&events),
        [
            EventType::ConnectionOpened,
            EventType::MessageReceived,
            EventType::ConnectionReleased,
            EventType::ConnectionOpened,
            EventType::ConnectionReleased
        ]
    );
    for event in &events {
        assert_eq!(event.agent_identity_id, identity.id);
        assert_eq!(event.remote_number, human.number);
        assert_eq!(event.status(), DeliveryStatus::Unspecified);
        assert!(event.occurred_at.is_some() && event.read_state.is_none() && event.reaction.is_none());
    }
    assert_eq!(events[0].conversation_id, None, "there is none yet");
    for event in &events[1..] {
        assert_eq!(event.conversation_id.as_deref(), Some(conversation_id.as_str()));
    }
    let message = events[1].message.as_ref().unwrap();
    assert_eq!(message.text.as_deref(), Some("hello"));
    assert!(events[1].connection.is_none());
    for (at, id) in [(0, &thread), (2, &thread), (3, &again), (4, &again)] {
        let connection = events[at].connection.as_ref().unwrap();
        assert_eq!(connection.id, id.connection_id);
        assert!(events[at].message.is_none());
        let is_over = events[at].r#type() == EventType::ConnectionReleased;
        assert!(connection.released_at.is_some() || !is_over);
    }
}

#[tokio::test]
async fn a_send_is_an_event_when_the_carrier_takes_it_and_when_its_status_is_final() {
    let scene = Scene::start().await;
    let mut watcher = Watcher::start(&scene.agent).await;
    let sent = send(&scene.agent, &scene.conversation_id, "hi").await;
    let update = |status: DeliveryStatus| UpdateDeliveryStatusRequest {
        line_number: scene.thread.line.clone(),
        // The sandbox knows a message under our own id.
        provider_message_id: sent.id.clone(),
        status: status.into(),
        ..Default::default()
    };
    for status in [DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Error] {
        scene.human.router.update_delivery_status(update(status)).await.unwrap();
    }
    scene.human.says(&scene.thread, "thanks").await;
    let events = watcher.take(3).await;
    assert_eq!(
        types(&events),
        [EventType::MessageSent, EventType::MessageDelivered, EventType::MessageReceived]
    );
    assert_eq!(events[0].status(), DeliveryStatus::Queued, "the status that it took with the event");
    assert_eq!(events[1].status(), DeliveryStatus::Delivered);
    for event in &events[..2] {
        assert_eq!(event.message.as_ref().unwrap().id, sent.id);
    }
}

#[tokio::test]
async fn a_send_that_the_carrier_refuses_is_one_event() {
    let refused = Scene::with_human("+15005550001").await;
    let mut watcher = Watcher::start(&refused.agent).await;
    let answer =
        refused.agent.send_message(crate::messages::to_conversation(&refused.conversation_id, "hi")).await;
    assert!(answer.is_err(), "the sandbox refuses sends to this number: {answer:?}");
    refused.human.says(&refused.thread, "hello?").await;
    let events = watcher.take(2).await;
    assert_eq!(types(&events), [EventType::MessageFailed, EventType::MessageReceived]);
    assert_eq!(events[0].status(), DeliveryStatus::Error);
}

#[tokio::test]
async fn reactions_of_the_human_are_events_and_those_of_the_agent_are_not() {
    let scene = Scene::start().await;
    let mut watcher = Watcher::start(&scene.agent).await;
    let react = |kind: ReactionType, removed: bool| ReceiveReactionRequest {
        line_number: scene.thread.line.clone(),
        remote_number: scene.human.number.clone(),
        target_provider_message_id: scene.text.provider_message_id.clone(),
        reaction: kind.into(),
        removed,
        ..Default::default()
    };
    let router = &scene.human.router;
    let love = router.receive_reaction(react(ReactionType::Love, false)).await.unwrap();
    router.receive_reaction(react(ReactionType::Love, false)).await.unwrap();
    let like = router.receive_reaction(react(ReactionType::Like, false)).await.unwrap();
    router.receive_reaction(react(ReactionType::Love, true)).await.unwrap();
    router.receive_reaction(react(ReactionType::Like, true)).await.unwrap();
    let request = SendReactionRequest {
        message_id: scene.message_id.clone(),
        reaction: ReactionType::Laugh.into(),
        ..Default::default()
    };
    scene.agent.send_reaction(request).await.unwrap();
    scene.human.says(&scene.thread, "end").await;

    let events = watcher.take(4).await;
    assert_eq!(
        types(&events),
        [
            EventType::ReactionReceived,
            EventType::ReactionReceived,
            EventType::ReactionRemoved,
            EventType::MessageReceived
        ],
        "a repetition, and a removal of what was replaced, are none"
    );
    for (event, id) in events.iter().zip([love.reaction_id, like.reaction_id.clone(), like.reaction_id]) {
        assert_eq!(event.reaction.as_ref().map(|reaction| &reaction.id), id.as_ref());
        assert_eq!(event.message.as_ref().unwrap().id, scene.message_id);
    }
}

#[tokio::test]
async fn marking_read_is_an_event_with_the_counts_unless_it_marks_nothing() {
    let scene = Scene::start().await;
    scene.human.says(&scene.thread, "second").await;
    let mut watcher = Watcher::start(&scene.agent).await;
    let mark =
        MarkConversationReadRequest { conversation_id: scene.conversation_id.clone(), ..Default::default() };
    assert_eq!(scene.agent.mark_conversation_read(mark.clone()).await.unwrap().updated_count, 2);
    assert_eq!(scene.agent.mark_conversation_read(mark).await.unwrap().updated_count, 0);
    scene.human.says(&scene.thread, "third").await;
    let events = watcher.take(2).await;
    assert_eq!(types(&events), [EventType::ConversationRead, EventType::MessageReceived]);
    assert_eq!(events[0].read_state, Some(ReadState { updated_count: 2, unread_count: 0 }));
    assert!(events[0].message.is_none());
}

#[tokio::test]
async fn a_redelivery_is_no_event() {
    let scene = Scene::start().await;
    let before = listed(&scene.agent).await.len();
    scene.human.router.receive_message(scene.text.clone()).await.unwrap();
    assert_eq!(listed(&scene.agent).await.len(), before);
}

#[tokio::test]
async fn texts_that_are_stored_together_are_an_event_each() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let mut threads = Vec::new();
    for n in 0..20 {
        let human = Human::new(&app, &format!("+1555124{n:04}")).await;
        let (thread, _) = human.converses(&identity, "first").await;
        threads.push((human, thread));
    }
    let admin = app.admin("org_a").await;
    let mut watcher = Watcher::start(&admin).await;
    let texts = threads.iter().map(|(human, thread)| human.says(thread, "again"));
    futures_util::future::join_all(texts).await;
    let events = watcher.take(20).await;
    let conversations: std::collections::HashSet<_> =
        events.iter().map(|event| &event.conversation_id).collect();
    assert_eq!(conversations.len(), 20);
    let ids: std::collections::HashSet<_> = events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), 20);
}
