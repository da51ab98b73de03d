use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::{DeliveryStatus, Message, ReleaseConnectionRequest, SendMessageRequest};

use super::{delivered, deliveries, keyed, messages_of, to_conversation, to_number};
use crate::support::{Human, Scene, TestApp, assert_reason, eventually};

#[tokio::test]
async fn the_same_key_and_request_replays_the_message_and_sends_once() {
    let Scene { app: _app, identity, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let request = keyed(to_conversation(&id, "hi"), "key 1");
    let first = agent.send_message(request.clone()).await.unwrap();
    // With any key of the organization: the idempotency key is the identity's.
    let named = SendMessageRequest { agent_identity_id: Some(identity.id.clone()), ..request.clone() };
    for (caller, again) in
        [(&agent, request.clone()), (&agent, named.clone()), (&admin, request), (&admin, named)]
    {
        assert_eq!(caller.send_message(again).await.unwrap(), first);
    }
    assert_eq!(deliveries(&admin).await.len(), 1);
    assert_eq!(messages_of(&agent, &id).await.len(), 2);
}

#[tokio::test]
async fn without_a_key_the_same_request_is_another_message() {
    let Scene { app: _app, conversation_id: id, agent, .. } = Scene::start().await;
    let first = agent.send_message(to_conversation(&id, "hi")).await.unwrap();
    let second = agent.send_message(to_conversation(&id, "hi")).await.unwrap();
    assert_ne!(first.message.unwrap().id, second.message.unwrap().id);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let Scene { app: _app, human, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let request = keyed(to_conversation(&id, "hi"), "key");
    agent.send_message(request.clone()).await.unwrap();
    let others = [
        keyed(to_conversation(&id, "hi!"), "key"),
        keyed(to_number(&human.number, None, "hi"), "key"),
        SendMessageRequest { send_style: 1, ..request.clone() },
        SendMessageRequest { media_urls: vec!["https://files.example/1".to_owned()], ..request },
    ];
    for other in others {
        assert_reason(agent.send_message(other).await, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(deliveries(&admin).await.len(), 1);
}

#[tokio::test]
async fn each_identity_has_keys_of_its_own() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let admin = app.admin("org_a").await;
    for identity in [&one, &two] {
        human.converses(identity, "hello").await;
        let request = keyed(to_number(&human.number, Some(&identity.id), "hi"), "key");
        admin.send_message(request).await.unwrap();
    }
    assert_eq!(deliveries(&admin).await.len(), 2);
}

#[tokio::test]
async fn calls_at_the_same_time_under_one_key_send_once_and_tell_the_others_so() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550003").await;
    let request = keyed(to_conversation(&id, "once"), "key");
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (agent, request) = (agent.clone(), request.clone());
            tokio::spawn(async move { agent.send_message(request).await })
        })
        .collect();
    eventually("the line has the message", async || (!deliveries(&admin).await.is_empty()).then_some(()))
        .await;
    let details = assert_reason(agent.send_message(request.clone()).await, "IDEMPOTENCY_IN_PROGRESS");
    assert!(details.retry_info().unwrap().retry_delay.is_some());

    let mut ids = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => ids.push(answer.message.unwrap().id),
            refused => drop(assert_reason(refused, "IDEMPOTENCY_IN_PROGRESS")),
        }
    }
    assert!(!ids.is_empty());
    ids.dedup();
    assert_eq!(ids.len(), 1, "one message, whichever call returned it");
    let replayed = agent.send_message(request).await.unwrap().message.unwrap();
    assert_eq!((&replayed.id, replayed.status()), (&ids[0], DeliveryStatus::Queued));
    assert_eq!(deliveries(&admin).await.len(), 1);
    assert_eq!(messages_of(&agent, &id).await.len(), 2);
}

#[tokio::test]
async fn a_send_that_failed_for_good_replays_its_failure_without_calling_the_line_again() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550005").await;
    let request = keyed(to_conversation(&id, "hi"), "key");
    for _ in 0..2 {
        let details = assert_reason(agent.send_message(request.clone()).await, "UPSTREAM_FAILED");
        assert!(details.retry_info().is_none());
    }
    assert_reason(
        agent.send_message(keyed(to_conversation(&id, "bye"), "key")).await,
        "IDEMPOTENCY_KEY_REUSED",
    );
    assert_eq!(delivered(&admin, &id).await.len(), 1);
}

#[tokio::test]
async fn a_failure_that_a_retry_can_cure_frees_the_key_and_the_retry_sends() {
    let Scene { app: _app, conversation_id: id, agent, .. } = Scene::with_human("+15005550002").await;
    let request = keyed(to_conversation(&id, "hi"), "key");
    let details = assert_reason(agent.send_message(request.clone()).await, "UPSTREAM_FAILED");
    assert!(details.retry_info().is_some());
    let sent = agent.send_message(request.clone()).await.unwrap();
    assert_eq!(sent.message.as_ref().unwrap().status(), DeliveryStatus::Queued);
    assert_eq!(agent.send_message(request).await.unwrap(), sent, "from now on it is replayed");
    let statuses: Vec<_> = messages_of(&agent, &id).await.iter().map(Message::status).collect();
    assert_eq!(statuses, [DeliveryStatus::Queued, DeliveryStatus::Error, DeliveryStatus::Received]);
    // The key of a failed message is free for another request as well.
    let other = [keyed(to_conversation(&id, "one"), "other"), keyed(to_conversation(&id, "two"), "other")];
    assert_reason(agent.send_message(other[0].clone()).await, "UPSTREAM_FAILED");
    assert_eq!(
        agent.send_message(other[1].clone()).await.unwrap().message.unwrap().text.as_deref(),
        Some("two")
    );
    assert_reason(agent.send_message(other[0].clone()).await, "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn of_eight_retries_at_once_after_a_failure_one_sends() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550002").await;
    let request = keyed(to_conversation(&id, "hi"), "key");
    assert_reason(agent.send_message(request.clone()).await, "UPSTREAM_FAILED");
    let retries = (0..8).map(|_| agent.send_message(request.clone()));
    let mut sent = Vec::new();
    for answer in join_all(retries).await {
        match answer {
            Ok(answer) => sent.push(answer.message.unwrap().id),
            refused => drop(assert_reason(refused, "IDEMPOTENCY_IN_PROGRESS")),
        }
    }
    sent.dedup();
    assert_eq!(sent.len(), 1);
    assert_eq!(delivered(&admin, &id).await.len(), 2, "the failure and one retry");
}

#[tokio::test]
async fn an_unknown_outcome_replays_as_pending() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550004").await;
    let request = keyed(to_conversation(&id, "hi"), "key");
    let first = agent.send_message(request.clone()).await.unwrap();
    assert_eq!(first.message.as_ref().unwrap().status(), DeliveryStatus::Pending);
    assert_eq!(agent.send_message(request).await.unwrap(), first);
    assert_eq!(deliveries(&admin).await.len(), 1);
}

#[tokio::test]
async fn a_replay_works_after_the_connection_was_released() {
    let Scene { app: _app, human, thread, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let requests = [keyed(to_conversation(&id, "a"), "a"), keyed(to_number(&human.number, None, "b"), "b")];
    let mut first = Vec::new();
    for request in &requests {
        first.push(agent.send_message(request.clone()).await.unwrap());
    }
    let release = ReleaseConnectionRequest { connection_id: thread.connection_id };
    admin.release_connection(release).await.unwrap();
    for (request, first) in requests.into_iter().zip(first) {
        assert_eq!(agent.send_message(request).await.unwrap(), first);
    }
}

#[tokio::test]
async fn a_send_whose_process_died_is_in_progress_at_first_and_then_pending_for_good() {
    let Scene { app, conversation_id: id, admin, agent, .. } = Scene::start().await;
    app.clock.freeze(app.clock.now());
    let request = keyed(to_conversation(&id, "hi"), "key");
    let first = agent.send_message(request.clone()).await.unwrap().message.unwrap();
    // As a crash between the line's answer and writing it down leaves the rows.
    for statement in [
        "UPDATE idempotency_keys SET finished = false",
        "UPDATE messages SET status = 2, provider_message_id = NULL WHERE direction = 2",
    ] {
        sqlx::query(statement).execute(&app.pool).await.unwrap();
    }
    assert_reason(agent.send_message(request.clone()).await, "IDEMPOTENCY_IN_PROGRESS");
    app.clock.advance(TimeDelta::seconds(5));
    let details = assert_reason(agent.send_message(request.clone()).await, "IDEMPOTENCY_IN_PROGRESS");
    // The line time-out of the tests, three seconds for the look-up and ten for the rest, of which five are over.
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_millis(8_300)));
    app.clock.advance(TimeDelta::milliseconds(8_301));
    for _ in 0..2 {
        let replayed = agent.send_message(request.clone()).await.unwrap().message.unwrap();
        assert_eq!((&replayed.id, replayed.status()), (&first.id, DeliveryStatus::Pending));
    }
    assert_eq!(deliveries(&admin).await.len(), 1, "never sent again by itself");
}

#[tokio::test]
async fn keys_are_swept_after_a_week_and_not_before() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let other = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let admins = [app.admin("org_a").await, app.admin("org_b").await];
    let mut requests = Vec::new();
    for (identity, admin) in [&identity, &other].into_iter().zip(&admins) {
        let (_, id) = human.converses(identity, "hello").await;
        let request = keyed(to_conversation(&id, "hi"), "old");
        admin.send_message(request.clone()).await.unwrap();
        requests.push(request);
    }
    app.clock.advance(TimeDelta::days(1));
    let younger = SendMessageRequest { idempotency_key: Some("young".to_owned()), ..requests[0].clone() };
    let young = admins[0].send_message(younger.clone()).await.unwrap();

    app.clock.advance(TimeDelta::days(6) - TimeDelta::minutes(1));
    cleanup::run_once(&app.parts, Retention::default()).await.unwrap();
    for (admin, request) in admins.iter().zip(&requests) {
        admin.send_message(request.clone()).await.unwrap();
    }
    assert_eq!((deliveries(&admins[0]).await.len(), deliveries(&admins[1]).await.len()), (2, 1), "replayed");

    app.clock.advance(TimeDelta::minutes(2));
    cleanup::run_once(&app.parts, Retention::default()).await.unwrap();
    for (admin, request) in admins.iter().zip(&requests) {
        admin.send_message(request.clone()).await.unwrap();
    }
    assert_eq!((deliveries(&admins[0]).await.len(), deliveries(&admins[1]).await.len()), (3, 2), "sent anew");
    assert_eq!(admins[0].send_message(younger).await.unwrap(), young, "the younger key is kept");
}
