//! A FIFO queue per conversation, so that carrier calls of one conversation run one at a time in the order of arrival.
//!
//! Order matters twice: a typing bubble that reaches the phone after the message it announced is never cleared, and a
//! send must not overtake a release. Calls of different conversations do not wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::domain::{ConversationId, OrganizationId};

/// The owner is part of the key, so that a caller of another organization who guesses an id cannot block the queue.
type Key = (OrganizationId, ConversationId);
/// tokio's mutex is fair: it is acquired in the order of arrival.
type Queue = Arc<tokio::sync::Mutex<()>>;

/// The queues of this process. A queue is removed when its last call leaves, so the number of queues is bounded by the
/// number of calls.
#[derive(Debug, Default)]
pub struct ConversationQueues {
    queues: Mutex<HashMap<Key, Queue>>,
}

/// The head of a queue. Dropping the guard lets the next call proceed.
#[derive(Debug)]
pub struct QueueGuard {
    queues: Arc<ConversationQueues>,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

/// Load of the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStats {
    /// Conversations with a call in progress.
    pub busy: usize,
    /// Calls that wait for an earlier call of the same conversation.
    pub waiting: usize,
}

impl ConversationQueues {
    /// The current load.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // The map and the call in progress hold one reference each.
        let waiting = queues.values().map(|queue| Arc::strong_count(queue).saturating_sub(2)).sum();
        QueueStats { busy: queues.len(), waiting }
    }

    /// Waits for all earlier calls of the conversation, and blocks later ones until the guard is dropped. The wait is
    /// bounded, since each carrier call ends with the carrier call timeout.
    pub async fn enter(
        self: &Arc<Self>,
        organization_id: &OrganizationId,
        conversation_id: ConversationId,
    ) -> QueueGuard {
        let key = (organization_id.clone(), conversation_id);
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.entry(key.clone()).or_default().clone()
        };
        // Constructed before the wait, so that a call that is cancelled while it waits cleans up as well.
        let mut entered = QueueGuard { queues: self.clone(), key, guard: None };
        entered.guard = Some(queue.lock_owned().await);
        entered
    }
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        self.guard = None;
        let mut queues = self.queues.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map holds a reference: no call is in the queue, and none can enter while the map is locked.
        if queues.get(&self.key).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::{ConversationQueues, QueueStats};

    #[tokio::test]
    async fn calls_of_a_conversation_run_one_at_a_time_in_order_and_the_last_one_removes_the_queue() {
        let queues = Arc::new(ConversationQueues::default());
        let (org, other_org) = ("org_a".into(), "org_b".into());
        let id = Uuid::from_u128(1).into();
        let first = queues.enter(&org, id).await;
        let mut second = Box::pin(queues.enter(&org, id));
        let mut third = Box::pin(queues.enter(&org, id));
        assert!(second.as_mut().now_or_never().is_none(), "waits for the first");
        assert!(third.as_mut().now_or_never().is_none(), "waits for the first");
        assert!(queues.enter(&other_org, id).now_or_never().is_some(), "another queue");
        assert_eq!(queues.stats(), QueueStats { busy: 1, waiting: 2 });

        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "waits for the second");
        let second = second.now_or_never().expect("the second is next");
        drop(third);
        drop(second);
        assert!(queues.queues.lock().expect("not poisoned").is_empty());
        assert_eq!(queues.stats(), QueueStats { busy: 0, waiting: 0 });
    }
}
