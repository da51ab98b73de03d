//! One call at a time on a conversation, in the order of arrival.
//!
//! A typing bubble that reaches the phone after the message it announced is never cleared, and a send must not pass a
//! release. So what has to keep its order enters the conversation's lane first; other conversations have their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::domain::{ConversationId, OrganizationId};

/// A conversation, with its owner: a stranger who guesses an id stands in no one's way.
type Key = (OrganizationId, ConversationId);
type Lane = Arc<tokio::sync::Mutex<()>>;

/// The lanes of this process. As many as there are calls in them or waiting: one goes when its last call leaves.
#[derive(Debug, Default)]
pub struct ConversationQueues {
    lanes: Mutex<HashMap<Key, Lane>>,
}

/// A place at the head of a lane. Leaves it when dropped.
#[derive(Debug)]
pub struct QueueGuard {
    lanes: Arc<ConversationQueues>,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

/// How much is in the lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStats {
    /// Lanes with a call in them.
    pub busy: usize,
    /// Calls that wait for an earlier one.
    pub waiting: usize,
}

impl ConversationQueues {
    /// How much is in them now.
    #[must_use]
    pub fn load(&self) -> QueueStats {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // One reference is the map's own, one that of the call in the lane.
        let waiting = lanes.values().map(|lane| Arc::strong_count(lane).saturating_sub(2)).sum();
        QueueStats { busy: lanes.len(), waiting }
    }

    /// Waits for the calls that came before, and keeps those that come later waiting. Bounded by what they wait for:
    /// a line call ends with the line time-out.
    pub async fn enter(
        self: &Arc<Self>,
        organization_id: &OrganizationId,
        conversation_id: ConversationId,
    ) -> QueueGuard {
        let key = (organization_id.clone(), conversation_id);
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.entry(key.clone()).or_default().clone()
        };
        // Made first, so that a call that is given up while it waits cleans up as well.
        let mut place = QueueGuard { lanes: self.clone(), key, guard: None };
        place.guard = Some(lane.lock_owned().await);
        place
    }
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        self.guard = None;
        let mut lanes = self.lanes.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own is the last one: nobody is in the lane or waits for it, and nobody can start to meanwhile.
        if lanes.get(&self.key).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.key);
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
    async fn a_lane_is_for_one_call_at_a_time_in_order_and_goes_with_the_last() {
        let lanes = Arc::new(ConversationQueues::default());
        let (org, other_org) = ("org_a".into(), "org_b".into());
        let id = Uuid::from_u128(1).into();
        let first = lanes.enter(&org, id).await;
        let mut second = Box::pin(lanes.enter(&org, id));
        let mut third = Box::pin(lanes.enter(&org, id));
        assert!(second.as_mut().now_or_never().is_none(), "waits for the first");
        assert!(third.as_mut().now_or_never().is_none(), "waits for the first");
        assert!(lanes.enter(&other_org, id).now_or_never().is_some(), "another lane");
        assert_eq!(lanes.load(), QueueStats { busy: 1, waiting: 2 });

        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "waits for the second");
        let second = second.now_or_never().expect("its turn");
        drop(third);
        drop(second);
        assert!(lanes.lanes.lock().expect("not poisoned").is_empty());
        assert_eq!(lanes.load(), QueueStats { busy: 0, waiting: 0 });
    }
}
