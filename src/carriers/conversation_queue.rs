//! A FIFO queue per conversation, so that carrier calls of one conversation run one at a time in the order of arrival.
//!
//! Order matters twice: a typing bubble that reaches the phone after the message it announced is never cleared, and a
//! send must not overtake a release. Calls of different conversations do not wait for each other.
//!
//! A bubble is a decoration, so it never delays a message for long: see [`ConversationQueues::enter`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::admission::RETRY_AFTER;
use crate::domain::{ConversationId, OrganizationId};
use crate::error::{Error, Result};

/// Maximum number of calls that wait for one conversation, besides typing indicators. A human does not read faster.
const MAX_WAITING: usize = 8;
/// Maximum number of typing indicators of one conversation: one in progress, and one that waits.
const MAX_TYPING: usize = 2;
/// How long a message waits for a typing indicator in progress before it cancels it.
const TYPING_GRACE: Duration = Duration::from_secs(1);

/// The owner is part of the key, so that a caller of another organization who guesses an id cannot block the queue.
type Key = (OrganizationId, ConversationId);

/// The queues of this process. A queue is removed when its last call leaves, so the number of queues is bounded by the
/// number of calls.
#[derive(Debug, Default)]
pub struct ConversationQueues {
    queues: Mutex<HashMap<Key, Arc<Queue>>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// tokio's mutex is fair: it is acquired in the order of arrival.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Calls that wait or are in progress.
    calls: AtomicUsize,
    /// Calls that wait, without typing indicators.
    waiting: AtomicUsize,
    /// Typing indicators that wait or are in progress.
    typing: AtomicUsize,
    /// Cancels the typing indicator in progress.
    cancel_typing: Mutex<Option<CancellationToken>>,
}

/// The head of a queue. Dropping the guard lets the next call proceed.
#[derive(Debug)]
pub struct QueueGuard {
    // Before the place, which removes an empty queue.
    _turn: OwnedMutexGuard<()>,
    _place: Place,
    has_waited: bool,
}

/// The head of a queue, for a typing indicator.
#[derive(Debug)]
pub struct TypingTurn {
    _count: Count,
    _guard: QueueGuard,
    /// Cancelled when a message waits for the indicator for too long.
    pub cancelled: CancellationToken,
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
        let queues = lock(&self.queues);
        let waiting =
            queues.values().map(|queue| queue.calls.load(Ordering::Acquire).saturating_sub(1)).sum();
        QueueStats { busy: queues.len(), waiting }
    }

    /// Waits for all earlier calls of the conversation, and blocks later ones until the guard is dropped. A typing indicator
    /// in progress gets one second more and is then cancelled; one that waits is skipped. The wait is bounded, since each
    /// carrier call ends with the carrier call timeout. A caller that is cancelled while it waits leaves the queue.
    ///
    /// # Errors
    /// `Overloaded` if too many calls wait already.
    pub async fn enter(
        self: &Arc<Self>,
        organization_id: &OrganizationId,
        conversation_id: ConversationId,
    ) -> Result<QueueGuard> {
        let place = self.place(organization_id, conversation_id);
        if let Ok(turn) = place.queue.turn.clone().try_lock_owned() {
            return Ok(QueueGuard { _turn: turn, _place: place, has_waited: false });
        }
        let _waiting = Count::add(&place.queue, |queue| &queue.waiting, MAX_WAITING)?;
        let mut turn = Box::pin(place.queue.turn.clone().lock_owned());
        let turn = match timeout(TYPING_GRACE, &mut turn).await {
            Ok(turn) => turn,
            Err(_) => {
                if let Some(typing) = &*lock(&place.queue.cancel_typing) {
                    typing.cancel();
                }
                turn.await
            }
        };
        Ok(QueueGuard { _turn: turn, _place: place, has_waited: true })
    }

    /// Waits for all earlier calls of the conversation. `None` if a message waits behind the indicator, which would clear
    /// it at once.
    ///
    /// # Errors
    /// `Overloaded` if another indicator waits already.
    pub async fn enter_typing(
        self: &Arc<Self>,
        organization_id: &OrganizationId,
        conversation_id: ConversationId,
    ) -> Result<Option<TypingTurn>> {
        let place = self.place(organization_id, conversation_id);
        let count = Count::add(&place.queue, |queue| &queue.typing, MAX_TYPING)?;
        let turn = place.queue.turn.clone().lock_owned().await;
        if place.queue.waiting.load(Ordering::Acquire) > 0 {
            return Ok(None);
        }
        let cancelled = CancellationToken::new();
        *lock(&place.queue.cancel_typing) = Some(cancelled.clone());
        let guard = QueueGuard { _turn: turn, _place: place, has_waited: true };
        Ok(Some(TypingTurn { _count: count, _guard: guard, cancelled }))
    }

    fn place(self: &Arc<Self>, organization_id: &OrganizationId, conversation_id: ConversationId) -> Place {
        let key = (organization_id.clone(), conversation_id);
        let queue = lock(&self.queues).entry(key.clone()).or_default().clone();
        queue.calls.fetch_add(1, Ordering::AcqRel);
        Place { queues: self.clone(), key, queue }
    }
}

impl QueueGuard {
    /// Whether the call waited for others, so that what it knows of the conversation may have changed.
    #[must_use]
    pub const fn has_waited(&self) -> bool {
        self.has_waited
    }
}

/// A call in a queue, waiting or at its head.
#[derive(Debug)]
struct Place {
    queues: Arc<ConversationQueues>,
    key: Key,
    queue: Arc<Queue>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues.queues);
        self.queue.calls.fetch_sub(1, Ordering::AcqRel);
        // Only the map and this call hold a reference, and no other can enter while the map is locked.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.key);
        }
    }
}

/// Counts a call of a queue while it exists.
struct Count {
    queue: Arc<Queue>,
    counter: fn(&Queue) -> &AtomicUsize,
}

impl std::fmt::Debug for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Count")
    }
}

impl Count {
    fn add(queue: &Arc<Queue>, counter: fn(&Queue) -> &AtomicUsize, most: usize) -> Result<Self> {
        let count = Self { queue: queue.clone(), counter };
        // Dropped on refusal, which takes the call back.
        if counter(queue).fetch_add(1, Ordering::AcqRel) >= most {
            return Err(Error::Overloaded { retry_after: RETRY_AFTER });
        }
        Ok(count)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        (self.counter)(&self.queue).fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "conversation_queue_tests.rs"]
mod tests;
