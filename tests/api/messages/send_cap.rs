use std::time::Duration;

use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::DeliveryStatus;

use super::{all_messages, deliveries, keyed, send, to_conversation};
use crate::support::{Human, TestApp, assert_reason};

#[tokio::test]
async fn one_message_more_than_the_cap_is_refused_until_the_first_is_a_day_old() {
    let app = TestApp::with(|settings| settings.sends_per_day = Some(3)).await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    app.clock.freeze(app.clock.now());
    send(&agent, &id, "1").await;
    app.clock.advance(TimeDelta::hours(5));
    send(&agent, &id, "2").await;
    send(&agent, &id, "3").await;
    app.clock.advance(TimeDelta::hours(1));

    let request = keyed(to_conversation(&id, "4"), "key");
    let details = assert_reason(agent.send_message(request.clone()).await, "RATE_LIMITED");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_hours(18)));
    assert_eq!(
        (deliveries(&admin).await.len(), all_messages(&admin).await.len()),
        (3, 4),
        "nothing was done"
    );

    app.clock.advance(TimeDelta::hours(18));
    agent.send_message(request).await.unwrap();
    assert_reason(agent.send_message(to_conversation(&id, "5")).await, "RATE_LIMITED");
    app.clock.advance(TimeDelta::hours(24));
    for text in ["5", "6", "7"] {
        send(&agent, &id, text).await;
    }
}

#[tokio::test]
async fn failed_messages_do_not_count_and_pending_ones_do() {
    let app = TestApp::with(|settings| settings.sends_per_day = Some(2)).await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let (_, failing) = Human::new(&app, "+15005550001").await.converses(&identity, "hello").await;
    let (_, silent) = Human::new(&app, "+15005550004").await.converses(&identity, "hello").await;
    let (_, normal) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    for _ in 0..3 {
        assert_reason(agent.send_message(to_conversation(&failing, "hi")).await, "UPSTREAM_FAILED");
    }
    assert_eq!(send(&agent, &silent, "hi").await.status(), DeliveryStatus::Pending);
    send(&agent, &normal, "hi").await;
    for id in [normal, failing] {
        assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "RATE_LIMITED");
    }
}

#[tokio::test]
async fn each_identity_has_a_cap_of_its_own() {
    let app = TestApp::with(|settings| settings.sends_per_day = Some(1)).await;
    let human = Human::new(&app, "+15551230001").await;
    for organization in ["org_a", "org_a", "org_b"] {
        let identity = app.identity(organization).await;
        let (_, id) = human.converses(&identity, "hello").await;
        let agent = app.agent(&identity).await;
        send(&agent, &id, "1").await;
        assert_reason(agent.send_message(to_conversation(&id, "2")).await, "RATE_LIMITED");
    }
}

#[tokio::test]
async fn texts_of_humans_do_not_count() {
    let app = TestApp::with(|settings| settings.sends_per_day = Some(1)).await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    for _ in 0..3 {
        human.says(&thread, "hello?").await;
    }
    send(&app.agent(&identity).await, &id, "1").await;
}

#[tokio::test]
async fn the_cap_is_exact_under_sends_at_the_same_time() {
    let app = TestApp::with(|settings| settings.sends_per_day = Some(3)).await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    // Over several conversations, so that they do not wait for each other anyhow.
    let mut conversations = Vec::new();
    for n in 0..10 {
        let human = Human::new(&app, &format!("+1555123000{n}")).await;
        conversations.push(human.converses(&identity, "hello").await.1);
    }
    let calls: Vec<_> = conversations
        .into_iter()
        .map(|id| {
            let agent = agent.clone();
            tokio::spawn(async move { agent.send_message(to_conversation(&id, "hi")).await })
        })
        .collect();
    let mut sent = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => sent += 1,
            refused => drop(assert_reason(refused, "RATE_LIMITED")),
        }
    }
    assert_eq!(sent, 3);
    assert_eq!(deliveries(&admin).await.len(), 3);
}

#[tokio::test]
async fn the_last_message_of_the_day_replays_although_the_cap_is_reached() {
    let app = TestApp::with(|settings| settings.sends_per_day = Some(1)).await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let request = keyed(to_conversation(&id, "hi"), "key");
    let calls: Vec<_> = (0..9)
        .map(|_| {
            let (agent, request) = (agent.clone(), request.clone());
            tokio::spawn(async move { agent.send_message(request).await })
        })
        .collect();
    let mut ids = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => ids.push(answer.message.unwrap().id),
            refused => drop(assert_reason(refused, "IDEMPOTENCY_IN_PROGRESS")),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(agent.send_message(request).await.unwrap().message.unwrap().id, ids[0]);
}

#[tokio::test]
async fn without_a_cap_there_is_none() {
    let app = TestApp::with(|settings| settings.sends_per_day = None).await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    // As many as the default cap of the command line, by rows, and one by the call.
    let agent = app.agent(&identity).await;
    send(&agent, &id, "first").await;
    sqlx::query(
        "INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                               direction, is_blocked, text, transport, status, created_at, updated_at)
         SELECT organization_id, gen_random_uuid(), conversation_id, agent_identity_id, assignment_id, line_number,
                direction, is_blocked, text, transport, status, created_at, updated_at
         FROM messages, generate_series(1, 1000) WHERE direction = 2",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    assert_eq!(send(&agent, &id, "one more").await.status(), DeliveryStatus::Queued);
}
