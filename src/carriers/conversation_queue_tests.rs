use std::sync::Arc;

use futures_util::FutureExt as _;
use uuid::Uuid;

use super::{ConversationQueues, MAX_WAITING, QueueStats, TYPING_GRACE};
use crate::domain::{ConversationId, OrganizationId};

fn queues() -> (Arc<ConversationQueues>, OrganizationId, ConversationId) {
    (Arc::default(), "org_a".into(), Uuid::from_u128(1).into())
}

#[tokio::test]
async fn calls_of_a_conversation_run_one_at_a_time_in_order_and_the_last_one_removes_the_queue() {
    let (queues, org, id) = queues();
    let first = queues.enter(&org, id).await.expect("a turn");
    assert!(!first.has_waited());
    let mut second = Box::pin(queues.enter(&org, id));
    let mut third = Box::pin(queues.enter(&org, id));
    assert!(second.as_mut().now_or_never().is_none(), "waits for the first");
    assert!(third.as_mut().now_or_never().is_none(), "waits for the first");
    assert!(queues.enter(&"org_b".into(), id).now_or_never().is_some(), "another queue");

    drop(first);
    assert!(third.as_mut().now_or_never().is_none(), "waits for the second");
    let second = second.now_or_never().expect("the second is next").expect("a turn");
    assert!(second.has_waited());
    drop(third);
    drop(second);
    assert!(queues.queues.lock().expect("not poisoned").is_empty());
    assert_eq!(queues.stats(), QueueStats { busy: 0, waiting: 0 });
}

#[tokio::test]
async fn a_bounded_number_of_calls_waits() {
    let (queues, org, id) = queues();
    let first = queues.enter(&org, id).await.expect("a turn");
    let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(queues.enter(&org, id))).collect();
    for call in &mut waiting {
        assert!(call.as_mut().now_or_never().is_none());
    }
    assert!(queues.enter(&org, id).await.is_err());
    waiting.pop();
    let mut next = Box::pin(queues.enter(&org, id));
    assert!(next.as_mut().now_or_never().is_none(), "a caller that left has made room");
    drop((next, waiting, first));
    assert!(queues.queues.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn typing_takes_no_room_from_messages_and_waits_once() {
    let (queues, org, id) = queues();
    let first = queues.enter(&org, id).await.expect("a turn");
    let mut typing: Vec<_> = (0..2).map(|_| Box::pin(queues.enter_typing(&org, id))).collect();
    for call in &mut typing {
        assert!(call.as_mut().now_or_never().is_none());
    }
    assert!(queues.enter_typing(&org, id).await.is_err());
    let mut message = Box::pin(queues.enter(&org, id));
    assert!(message.as_mut().now_or_never().is_none());
    drop(first);
    for call in typing {
        assert!(call.await.expect("no error").is_none(), "skipped, since a message waits behind it");
    }
    assert!(message.now_or_never().is_some());
}

#[tokio::test]
async fn a_message_cancels_the_typing_indicator_in_progress_after_a_second() {
    let (queues, org, id) = queues();
    let typing = queues.enter_typing(&org, id).await.expect("no error").expect("a turn");
    let cancelled = typing.cancelled.clone();
    let hanging = tokio::spawn(async move {
        typing.cancelled.cancelled().await;
        drop(typing);
    });
    let began = tokio::time::Instant::now();
    queues.enter(&org, id).await.expect("a turn");
    assert!(cancelled.is_cancelled());
    assert!(began.elapsed() >= TYPING_GRACE);
    hanging.await.expect("no panic");
}
