//! What happens while a receipt is on its way to the phone: the sandbox takes 2 s for these.

use futures_util::future::join_all;

use super::{deliveries, mark_read, only};
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, eventually};

/// The number that the sandbox is slow with.
const SLOW: &str = "+15005550003";

/// Waits until so many receipts have reached the line.
async fn until_under_way(admin: &Caller, id: &str, receipts: usize) {
    eventually("the receipts have reached the line", async || {
        (deliveries(admin, id).await.len() == receipts).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_is_marked_before_the_line_has_accepted() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, SLOW).await;
    let (_, id) = human.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    let under_way = tokio::spawn(mark_read(&agent, &id));
    until_under_way(&admin, &id, 1).await;
    assert_eq!(only(&agent, None).await.unread_count, 1);
    assert_eq!(under_way.await.unwrap().unwrap().updated_count, 1);
}

#[tokio::test]
async fn messages_that_arrive_while_the_receipt_is_under_way_stay_unread() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, SLOW).await;
    let (thread, id) = human.converses(&identity, "one").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    let under_way = tokio::spawn(mark_read(&agent, &id));
    until_under_way(&admin, &id, 1).await;
    human.says(&thread, "two").await;
    assert_eq!(under_way.await.unwrap().unwrap().updated_count, 1);
    assert_eq!(only(&agent, None).await.unread_count, 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_after_the_line_was_called_does_not_undo_the_marking() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, SLOW).await;
    let (_, id) = human.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    let under_way = tokio::spawn(mark_read(&agent, &id));
    until_under_way(&admin, &id, 1).await;
    under_way.abort();
    assert!(under_way.await.unwrap_err().is_cancelled());
    eventually("the message is read", async || (only(&admin, None).await.unread_count == 0).then_some(()))
        .await;
    assert_eq!(deliveries(&admin, &id).await.len(), 1);
}

#[tokio::test]
async fn marks_at_the_same_time_share_the_count() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, SLOW).await;
    let (thread, id) = human.converses(&identity, "one").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    for words in ["two", "three", "four", "five"] {
        human.says(&thread, words).await;
    }

    let marks = join_all((0..4).map(|_| mark_read(&agent, &id)));
    let counts: Vec<_> = marks.await.into_iter().map(|answer| answer.unwrap().updated_count).collect();
    assert_eq!(counts.iter().sum::<i32>(), 5, "{counts:?}");
    assert!(counts.iter().all(|count| [0, 5].contains(count)), "{counts:?}");
    assert_eq!(only(&agent, None).await.unread_count, 0);
    assert_eq!(deliveries(&admin, &id).await.len(), 4);
}

#[tokio::test]
async fn marks_that_see_more_and_less_count_each_message_once() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, SLOW).await;
    let (thread, id) = human.converses(&identity, "one").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    let earlier = tokio::spawn(mark_read(&agent, &id));
    until_under_way(&admin, &id, 1).await;
    human.says(&thread, "two").await;
    human.says(&thread, "three").await;
    let later = tokio::spawn(mark_read(&agent, &id));
    assert_eq!(earlier.await.unwrap().unwrap().updated_count, 1);
    assert_eq!(later.await.unwrap().unwrap().updated_count, 2);
    assert_eq!(only(&agent, None).await.unread_count, 0);
    let failed: Vec<_> = deliveries(&admin, &id).await.iter().map(|delivery| delivery.failed).collect();
    assert_eq!(failed, [false, false]);
}
