//! An erasure concurrent with messages, sends, connects and cleanup.

use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::ReceiveOutcome;

use super::erase;
use crate::messages::{delivered, deliveries, to_conversation};
use crate::support::history::{History, add_texts};
use crate::support::snapshot::numbers;
use crate::support::{Human, TestApp, eventually, invariants};

const LEFT: &str = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM conversations)
                         + (SELECT count(*) FROM connections) + (SELECT count(*) FROM routes)
                         + (SELECT count(*) FROM sent_messages) + (SELECT count(*) FROM idempotency_keys)
                         + (SELECT count(*) FROM discarded_conversations)
                         + (SELECT count(*) FROM routed_organizations)";

#[tokio::test]
async fn an_erasure_waits_for_a_send_in_flight_and_erases_it() {
    let app = TestApp::with(|settings| settings.line_time_out = std::time::Duration::from_secs(10)).await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    // The sandbox takes two seconds for this number.
    let human = Human::new(&app, "+15005550003").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let sending = tokio::spawn({
        let (admin, request) = (admin.clone(), to_conversation(&id, "hi"));
        async move { admin.send_message(request).await }
    });
    eventually("the line has the message", async || (!delivered(&admin, &id).await.is_empty()).then_some(()))
        .await;
    let erased = erase(&app, "org_a", &human, false).await;
    assert_eq!((erased.messages, erased.released), (2, 1));
    sending.await.unwrap().unwrap();
    assert_eq!(deliveries(&admin).await.len(), 1);
    assert_eq!(numbers(&app.pool, LEFT).await, [0]);
    invariants::hold(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn texts_that_race_with_an_erasure_are_erased_or_not_stored() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    for _ in 0..20 {
        let (thread, _) = human.converses(&identity, "hello").await;
        let texts: Vec<_> = (0..4)
            .map(|_| {
                let (human, thread) = (human.clone(), thread.clone());
                tokio::spawn(async move { human.says(&thread, "more").await })
            })
            .collect();
        let erased = erase(&app, "org_a", &human, false).await;
        let mut stored = 1;
        for text in texts {
            let outcome = text.await.unwrap().outcome();
            assert!([ReceiveOutcome::Stored, ReceiveOutcome::NotConnected].contains(&outcome));
            stored += u64::from(outcome == ReceiveOutcome::Stored);
        }
        assert_eq!(erased.messages, stored);
        assert_eq!(numbers(&app.pool, LEFT).await, [0]);
        invariants::hold(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connect_that_races_with_an_erasure_is_erased_or_gets_a_new_conversation() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    for _ in 0..20 {
        human.converses(&identity, "hello").await;
        human.disconnects(&identity).await;
        let connecting = tokio::spawn({
            let (human, identity) = (human.clone(), identity.clone());
            async move { human.connects(&identity).await }
        });
        erase(&app, "org_a", &human, false).await;
        let thread = connecting.await.unwrap();
        invariants::hold(&app).await;
        let outcome = human.says(&thread, "back").await.outcome();
        let left = numbers(&app.pool, "SELECT count(*) FROM messages").await[0];
        assert!(
            [(ReceiveOutcome::Stored, 1), (ReceiveOutcome::NotConnected, 0)].contains(&(outcome, left)),
            "{outcome:?} {left}"
        );
        invariants::hold(&app).await;
        erase(&app, "org_a", &human, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_concurrent_cleanup_shares_the_work_of_an_erasure() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    add_texts(&app, &history.conversation_id, 3_003).await;
    let parts = app.parts.clone();
    let cleaning = tokio::spawn(async move {
        for _ in 0..5 {
            cleanup::run_once(&parts, Retention::default()).await.unwrap();
        }
    });
    erase(&app, "org_a", &human, false).await;
    // Everything is erased when the erasure returns, whichever of the two deleted it.
    assert_eq!(numbers(&app.pool, LEFT).await, [0]);
    cleaning.await.unwrap();
    invariants::hold(&app).await;
}
