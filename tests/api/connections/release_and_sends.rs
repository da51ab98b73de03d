//! Sends and releases: a send is before a release, and done when the release is seen, or it is refused.

use std::time::Duration;

use inkbox_imessage::proto::{DeliveryKind, DeliveryStatus, ListDeliveriesRequest};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::release::release;
use crate::messages::{delivered, messages_of, send, to_conversation};
use crate::support::callers::Caller;
use crate::support::{Human, Scene, TestApp, assert_reason, eventually};

/// Takes two seconds per call.
const SLOW: &str = "+15005550003";

/// A send under way, once the line has it.
async fn sending(admin: &Caller, agent: &Caller, id: &str) -> JoinHandle<Result<(), Status>> {
    let call = tokio::spawn({
        let (agent, id) = (agent.clone(), id.to_owned());
        async move { agent.send_message(to_conversation(&id, "hi")).await.map(drop) }
    });
    eventually("the line has the message", async || (!delivered(admin, id).await.is_empty()).then_some(()))
        .await;
    call
}

/// Asserts that a send was refused because of a release: one that waits, or one that is complete.
fn assert_refused<T: std::fmt::Debug>(send: Result<T, Status>) {
    let is_waiting = send.as_ref().is_err_and(|status| status.code() == Code::ResourceExhausted);
    assert_reason(send, if is_waiting { "OVERLOADED" } else { "CONNECTION_RELEASED" });
}

/// Waits for a release to have begun: from then on sends are refused, on every replica.
async fn until_closing(app: &TestApp) {
    eventually("the connection takes no more sends", async || {
        let row: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM conversations WHERE closing_until IS NOT NULL")
                .fetch_optional(&app.pool)
                .await
                .unwrap();
        row.map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_release_on_one_replica_waits_for_a_send_on_another_and_refuses_later_ones_on_both() {
    let app = TestApp::start().await;
    let replica = app.replica().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, SLOW).await;
    let (thread, id) = human.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let first = sending(&admin, &agent, &id).await;

    let (admin_there, agent_there) = (replica.admin("org_a").await, replica.agent(&identity).await);
    let releasing = tokio::spawn({
        let (admin, request) = (admin_there.clone(), release(&thread));
        async move { admin.release_connection(request).await }
    });
    until_closing(&app).await;
    let later = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { agent.send_message(to_conversation(&id, "later, here")).await }
    });
    // Nothing is released yet, and the release may be given up.
    assert_reason(agent_there.send_message(to_conversation(&id, "later, there")).await, "OVERLOADED");
    releasing.await.unwrap().unwrap();

    let stored = messages_of(&admin_there, &id).await;
    assert_eq!(stored.len(), 2, "what was refused is not stored");
    assert_eq!(stored[0].status(), DeliveryStatus::Queued, "the line was done with it when the release was");
    assert!(first.await.unwrap().is_ok());
    assert_refused(later.await.unwrap());
    assert_eq!(delivered(&admin, &id).await.len(), 1);
    assert_eq!(delivered(&admin_there, &id).await.len(), 0);
}

#[tokio::test]
async fn a_disconnect_that_reaches_one_replica_waits_for_a_send_on_another() {
    let app = TestApp::start().await;
    let replica = app.replica().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, SLOW).await.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let first = sending(&admin, &agent, &id).await;
    Human::new(&replica, SLOW).await.disconnects(&identity).await;
    let stored = messages_of(&admin, &id).await;
    assert_eq!(
        stored[0].status(),
        DeliveryStatus::Queued,
        "the line was done with it when the human was told"
    );
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_send_whose_process_died_holds_a_release_up_only_until_its_mark_lapses() {
    let Scene { app, identity, human, thread, conversation_id: id, admin, agent, .. } = Scene::start().await;
    send(&agent, &id, "hi").await;
    sqlx::query("UPDATE messages SET in_flight_until = now() + interval '1s' WHERE direction = 2")
        .execute(&app.pool)
        .await
        .unwrap();
    let releasing = tokio::spawn({
        let (admin, request) = (admin.clone(), release(&thread));
        async move { admin.release_connection(request).await }
    });
    until_closing(&app).await;
    assert!(!releasing.is_finished());
    releasing.await.unwrap().unwrap();
    human.converses(&identity, "back").await;
    send(&agent, &id, "welcome back").await;
}

#[tokio::test]
async fn a_release_whose_process_died_while_it_waited_refuses_sends_only_until_its_mark_lapses() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    sqlx::query("UPDATE conversations SET closing_until = now() + interval '1s'")
        .execute(&app.pool)
        .await
        .unwrap();
    assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "OVERLOADED");
    eventually("the mark lapses", async || agent.send_message(to_conversation(&id, "hi")).await.ok()).await;
}

#[tokio::test]
async fn every_answer_of_a_line_frees_the_connection_for_a_release() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    for (number, expected) in [
        ("+15551230001", DeliveryStatus::Queued),
        ("+15005550001", DeliveryStatus::Error),
        ("+15005550005", DeliveryStatus::Error),
        ("+15005550004", DeliveryStatus::Pending),
    ] {
        let (thread, id) = Human::new(&app, number).await.converses(&identity, "hello").await;
        let _ = agent.send_message(to_conversation(&id, "hi")).await;
        assert_eq!(messages_of(&admin, &id).await[0].status(), expected, "{number}");
        let marks: i64 =
            sqlx::query_scalar("SELECT count(*) FROM messages WHERE in_flight_until IS NOT NULL")
                .fetch_one(&app.pool)
                .await
                .unwrap();
        assert_eq!(marks, 0, "{number}");
        admin.release_connection(release(&thread)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_send_that_races_a_release_is_sent_before_it_or_refused_and_never_after_it() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    for round in 0..60 {
        let (thread, id) = human.converses(&identity, "hello").await;
        let stored = messages_of(&admin, &id).await.len();
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let (agent, id) = (agent.clone(), id.clone());
                tokio::spawn(async move { agent.send_message(to_conversation(&id, "hi")).await })
            })
            .collect();
        if round % 2 == 1 {
            tokio::task::yield_now().await;
        }
        admin.release_connection(release(&thread)).await.unwrap();
        let released = delivered(&admin, &id).await.len();
        let mut sent = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(answer) => {
                    assert_eq!(answer.message.unwrap().assignment_id, thread.connection_id);
                    sent += 1;
                }
                refused => assert_refused(refused),
            }
        }
        assert_eq!(
            delivered(&admin, &id).await.len(),
            released,
            "nothing reached the line after the release"
        );
        // Both lists show 200 rows at most, and 60 rounds make more.
        if stored < 190 {
            assert_eq!(messages_of(&admin, &id).await.len(), stored + sent, "what was refused is not stored");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_waits_for_the_send_that_the_line_has_and_refuses_those_that_wait() {
    let Scene { app: _app, thread, conversation_id: id, admin, agent, .. } =
        Scene::with_human("+15005550003").await;
    let sending = |text: &'static str| {
        let (agent, id) = (agent.clone(), id.clone());
        tokio::spawn(async move { agent.send_message(to_conversation(&id, text)).await })
    };
    let first = sending("first");
    eventually("the line has the message", async || (!delivered(&admin, &id).await.is_empty()).then_some(()))
        .await;
    let releasing = tokio::spawn({
        let (admin, request) = (admin.clone(), release(&thread));
        async move { admin.release_connection(request).await }
    });
    // As many as come while the release waits: each is before it, and sent, or behind it, and refused.
    let later: Vec<_> = (0..3).map(|_| sending("later")).collect();
    let connection = releasing.await.unwrap().unwrap().connection.unwrap();
    assert!(first.await.unwrap().is_ok());
    for call in later {
        if let refused @ Err(_) = call.await.unwrap() {
            assert_refused(refused);
        }
    }
    let released = connection.released_at.unwrap();
    let request = ListDeliveriesRequest { conversation_id: Some(id), ..Default::default() };
    let deliveries = admin.list_deliveries(request).await.unwrap().deliveries;
    let last = deliveries.last().unwrap();
    assert_eq!(last.kind(), DeliveryKind::Message);
    let at = |time: &prost_types::Timestamp| {
        Duration::new(time.seconds.try_into().unwrap(), time.nanos.try_into().unwrap())
    };
    let done = at(last.at.as_ref().unwrap()) + Duration::from_secs(2);
    assert!(done <= at(&released), "the line was done with the last message when the connection ended");
}
