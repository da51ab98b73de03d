use futures_util::future::join_all;
use inkbox_imessage::proto::{ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome};

use crate::support::app::ROUTER_LINE;
use crate::support::snapshot::everything;
use crate::support::{Human, TestApp};

/// Asserts that an answer is what a redelivery gets.
#[track_caller]
fn assert_duplicate(answer: &ReceiveMessageResponse, first: &ReceiveMessageResponse) {
    let mut expected = ReceiveMessageResponse::default();
    expected.set_outcome(ReceiveOutcome::Duplicate);
    expected.connection_id.clone_from(&first.connection_id);
    assert_eq!(answer, &expected);
}

/// One text of every outcome that the router line has, for a human who is connected to `connected` only.
async fn one_of_each(app: &TestApp, human: &Human) -> Vec<(ReceiveMessageRequest, ReceiveOutcome)> {
    let (free, connected) = (app.identity("org_a").await, app.identity("org_a").await);
    human.connects(&connected).await;
    let texts = [
        (format!("connect @{}", free.agent_handle), ReceiveOutcome::Connected),
        (format!("disconnect @{}", connected.agent_handle), ReceiveOutcome::Disconnected),
        ("connect @nobody".to_owned(), ReceiveOutcome::Refused),
        ("list".to_owned(), ReceiveOutcome::Help),
        ("hello".to_owned(), ReceiveOutcome::Help),
    ];
    texts.into_iter().map(|(words, outcome)| (human.text(ROUTER_LINE, &words), outcome)).collect()
}

#[tokio::test]
async fn a_redelivery_gets_the_first_connection_id_no_reply_and_changes_nothing() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    for (text, outcome) in one_of_each(&app, &human).await {
        let first = human.router.receive_message(text.clone()).await.unwrap();
        assert_eq!(first.outcome(), outcome);
        let before = everything(&app.pool).await;
        let second = human.router.receive_message(text).await.unwrap();
        assert_duplicate(&second, &first);
        assert_eq!(everything(&app.pool).await, before);
    }
}

#[tokio::test]
async fn of_eight_deliveries_at_once_one_acts_and_seven_are_duplicates() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    for (text, outcome) in one_of_each(&app, &human).await {
        let deliveries = (0..8).map(|_| human.router.receive_message(text.clone()));
        let answers: Vec<_> = join_all(deliveries).await.into_iter().map(Result::unwrap).collect();
        let acted: Vec<_> = answers.iter().filter(|answer| answer.outcome() == outcome).collect();
        assert_eq!(acted.len(), 1, "{outcome:?}: {answers:?}");
        assert!(acted[0].reply_text.is_some());
        for answer in answers.iter().filter(|answer| answer.outcome() != outcome) {
            assert_duplicate(answer, acted[0]);
        }
    }
}

#[tokio::test]
async fn a_redelivered_connect_does_not_undo_a_disconnect() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let text = human.text(ROUTER_LINE, &format!("connect @{}", identity.agent_handle));
    let first = human.router.receive_message(text.clone()).await.unwrap();
    human.disconnects(&identity).await;

    let before = everything(&app.pool).await;
    assert_duplicate(&human.router.receive_message(text).await.unwrap(), &first);
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn a_redelivered_disconnect_does_not_end_the_next_connection() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    human.connects(&identity).await;
    let text = human.text(ROUTER_LINE, &format!("disconnect @{}", identity.agent_handle));
    let first = human.router.receive_message(text.clone()).await.unwrap();
    assert_eq!(first.outcome(), ReceiveOutcome::Disconnected);
    let thread = human.connects(&identity).await;

    assert_duplicate(&human.router.receive_message(text).await.unwrap(), &first);
    assert_eq!(human.says(&thread, "hello").await.outcome(), ReceiveOutcome::Stored);
}
