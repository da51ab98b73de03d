use std::time::Duration;

use inkbox_imessage::proto::{DeliveryKind, DeliveryStatus};
use tokio::time::Instant;

use super::{delivered, deliveries, messages_of, send, to_conversation};
use crate::support::snapshot::numbers;
use crate::support::{Human, Scene, TestApp, assert_reason, eventually, invariants};

#[tokio::test]
async fn a_passing_fault_is_told_with_when_to_retry_and_kept_as_an_error() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550001").await;

    let details = assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "UPSTREAM_FAILED");
    assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()));
    let message = &messages_of(&agent, &id).await[0];
    assert_eq!(message.status(), DeliveryStatus::Error);
    let error = message.error.as_ref().unwrap();
    assert!(!error.code.is_empty() && !error.message.is_empty(), "{error:?}");
    let deliveries = deliveries(&admin).await;
    assert_eq!(deliveries.len(), 1, "one attempt");
    assert!(deliveries[0].failed);
}

#[tokio::test]
async fn a_refusal_for_good_is_told_without_when_to_retry_and_kept_as_another_error() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let refusing = Human::new(&app, "+15005550005").await;
    let (_, id) = refusing.converses(&identity, "hello").await;
    let failing = Human::new(&app, "+15005550001").await;
    let (_, other) = failing.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;

    let details = assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "UPSTREAM_FAILED");
    assert!(details.retry_info().is_none());
    assert_reason(agent.send_message(to_conversation(&other, "hi")).await, "UPSTREAM_FAILED");
    let refused = messages_of(&agent, &id).await.swap_remove(0);
    let failed = messages_of(&agent, &other).await.swap_remove(0);
    assert_eq!(refused.status(), DeliveryStatus::Error);
    assert_ne!(refused.error.unwrap().code, failed.error.unwrap().code, "the two can be told apart");
}

#[tokio::test]
async fn a_line_that_never_answers_leaves_the_message_pending_and_unrepeated() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550004").await;

    let sent = send(&agent, &id, "anyone there?").await;
    assert_eq!(sent.status(), DeliveryStatus::Pending);
    assert_eq!(sent.error, None);
    assert_eq!(messages_of(&agent, &id).await[0], sent);
    // A second time-out of the line, after which a repetition would have been seen.
    send(&agent, &id, "hello?").await;
    let texts: Vec<_> = delivered(&admin, &id).await.into_iter().filter_map(|(_, text)| text).collect();
    assert_eq!(texts, ["anyone there?", "hello?"]);
}

#[tokio::test]
async fn a_slow_line_is_waited_for() {
    let Scene { app: _app, conversation_id: id, agent, .. } = Scene::with_human("+15005550003").await;
    let began = Instant::now();
    let sent = send(&agent, &id, "slowly").await;
    assert!(began.elapsed() >= Duration::from_secs(2), "longer than the line time-out");
    assert_eq!(sent.status(), DeliveryStatus::Queued);
}

#[tokio::test]
async fn a_message_is_pending_while_the_line_has_it() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550003").await;
    let sending = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { send(&agent, &id, "slowly").await }
    });
    eventually("the line has the message", async || (!delivered(&admin, &id).await.is_empty()).then_some(()))
        .await;
    assert_eq!(messages_of(&agent, &id).await[0].status(), DeliveryStatus::Pending);
    assert_eq!(sending.await.unwrap().status(), DeliveryStatus::Queued);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_undo_what_the_line_took() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550003").await;
    let sending = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { send(&agent, &id, "and gone").await }
    });
    eventually("the line has the message", async || (!delivered(&admin, &id).await.is_empty()).then_some(()))
        .await;
    sending.abort();
    assert!(sending.await.is_err_and(|error| error.is_cancelled()));
    eventually("the message is queued", async || {
        let newest = messages_of(&agent, &id).await.swap_remove(0);
        (newest.status() == DeliveryStatus::Queued).then_some(())
    })
    .await;
    assert_eq!(delivered(&admin, &id).await, [(DeliveryKind::Message, Some("and gone".to_owned()))]);
}

#[tokio::test]
async fn a_message_that_was_settled_while_the_line_had_it_keeps_that_result_and_is_not_found_by_the_id_of_the_line()
 {
    let Scene { app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550003").await;
    let sending = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { agent.send_message(to_conversation(&id, "slowly")).await }
    });
    eventually("the line has the message", async || (!delivered(&admin, &id).await.is_empty()).then_some(()))
        .await;
    // As another replica does that asked the line.
    let settled = sqlx::query(
        "UPDATE messages SET status = 8, error_code = 'rejected', error_message = 'no', in_flight_until = NULL
         WHERE status = 2",
    );
    assert_eq!(settled.execute(&app.pool).await.unwrap().rows_affected(), 1);
    sending.await.unwrap().unwrap();

    assert_eq!(messages_of(&agent, &id).await[0].status(), DeliveryStatus::Error);
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM sent_messages").await, [0]);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn every_other_try_to_a_shaky_number_succeeds() {
    let Scene { app: _app, conversation_id: id, agent, .. } = Scene::with_human("+15005550002").await;
    for _ in 0..2 {
        assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "UPSTREAM_FAILED");
        assert_eq!(send(&agent, &id, "hi").await.status(), DeliveryStatus::Queued);
    }
    let stands: Vec<_> =
        messages_of(&agent, &id).await.iter().map(inkbox_imessage::proto::Message::status).collect();
    let expected = [
        DeliveryStatus::Queued,
        DeliveryStatus::Error,
        DeliveryStatus::Queued,
        DeliveryStatus::Error,
        DeliveryStatus::Received,
    ];
    assert_eq!(stands, expected, "a message that failed stays in the list, and a retry is another one");
}
