use inkbox_imessage::proto::DeliveryKind;

use super::{deliveries, listed, mark_read, only, says_blocked};
use crate::support::callers::Caller;
use crate::support::{Human, Scene, TestApp, assert_reason};

/// How many messages a call turned read.
async fn marked(caller: &Caller, id: &str) -> i32 {
    mark_read(caller, id).await.unwrap().updated_count
}

#[tokio::test]
async fn a_receipt_is_sent_on_every_call_also_when_nothing_is_unread() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "one").await;
    human.says(&thread, "two").await;
    let admin = app.admin("org_a").await;

    for (caller, count, receipts) in
        [(app.agent(&identity).await, 2, 1), (admin.clone(), 0, 2), (app.agent(&identity).await, 0, 3)]
    {
        let answer = mark_read(&caller, &id).await.unwrap();
        assert_eq!((answer.conversation_id, answer.updated_count), (id.clone(), count));
        assert_eq!(only(&caller, None).await.unread_count, 0);
        let sent = deliveries(&admin, &id).await;
        assert_eq!(sent.len(), receipts);
        assert!(
            sent.iter().all(|sent| sent.kind() == DeliveryKind::ReadReceipt
                && !sent.failed
                && sent.remote_number == human.number),
            "{sent:?}"
        );
    }
}

#[tokio::test]
async fn marking_leaves_the_total_the_preview_the_order_and_the_time_alone() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    let (_, id) = human.converses(&identity, "hello").await;
    other.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;

    let mut expected = listed(&agent, None).await;
    assert_eq!(marked(&agent, &id).await, 1);
    expected[1].unread_count = 0;
    assert_eq!(listed(&agent, None).await, expected);
}

#[tokio::test]
async fn later_messages_are_unread_again() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "one").await;
    let agent = app.agent(&identity).await;

    assert_eq!(marked(&agent, &id).await, 1);
    human.says(&thread, "two").await;
    human.says(&thread, "three").await;
    assert_eq!(only(&agent, None).await.unread_count, 2);
    assert_eq!(marked(&agent, &id).await, 2);
    assert_eq!(only(&agent, None).await.unread_count, 0);
}

#[tokio::test]
async fn messages_of_an_earlier_connection_are_marked_too() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "one").await;
    human.disconnects(&identity).await;
    let thread = human.connects(&identity).await;
    human.says(&thread, "two").await;

    assert_eq!(marked(&app.agent(&identity).await, &id).await, 2);
}

#[tokio::test]
async fn blocked_messages_are_never_marked() {
    let Scene { app, identity, human, thread, conversation_id: id, .. } = Scene::start().await;
    says_blocked(&app, &identity, &human, &thread, "spam").await;
    human.says(&thread, "hello?").await;
    says_blocked(&app, &identity, &human, &thread, "more spam").await;
    let admin = app.admin("org_a").await;

    for count in [2, 0] {
        assert_eq!(marked(&admin, &id).await, count);
        for (view, unread) in [(None, 2), (Some(true), 2), (Some(false), 0)] {
            assert_eq!(only(&admin, view).await.unread_count, unread, "{view:?}");
        }
    }
}

#[tokio::test]
async fn only_the_conversation_asked_for_is_marked() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    let (_, id) = human.converses(&mine, "hello").await;
    human.converses(&sibling, "hello").await;
    other.converses(&mine, "hello").await;
    let admin = app.admin("org_a").await;

    assert_eq!(marked(&admin, &id).await, 1);
    let unread: Vec<_> =
        listed(&admin, None).await.iter().filter(|row| row.id != id).map(|row| row.unread_count).collect();
    assert_eq!(unread, [1, 1]);
}

#[tokio::test]
async fn nothing_is_marked_when_the_line_fails_and_a_retry_marks_it_all() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    for number in ["+15005550001", "+15005550004", "+15005550005"] {
        let human = Human::new(&app, number).await;
        let (_, id) = human.converses(&identity, "hello").await;
        for _ in 0..2 {
            assert_reason(mark_read(&agent, &id).await, "UPSTREAM_FAILED");
            assert_eq!(listed(&agent, None).await[0].unread_count, 1, "{number}");
        }
    }

    let human = Human::new(&app, "+15005550002").await;
    let (thread, id) = human.converses(&identity, "one").await;
    assert_reason(mark_read(&agent, &id).await, "UPSTREAM_FAILED");
    human.says(&thread, "two").await;
    assert_eq!(marked(&agent, &id).await, 2);
    assert_eq!(listed(&agent, None).await[0].unread_count, 0);
}
