//! A semaphore whose permits are divided fairly among the consumers that wait for them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::consumer::Consumer;

/// A number of permits. A caller waits until one is free and its consumer holds less than the share. The next permit goes
/// to the consumer that holds the fewest, and among those to the caller that has waited longest.
///
/// The number of callers that wait is bounded by their callers' own limits.
#[derive(Debug)]
pub struct FairSemaphore {
    /// Maximum number of permits that one consumer holds.
    share: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Without consumers that hold nothing.
    held: HashMap<Consumer, usize>,
    /// In the order of arrival. Without consumers for whom nobody waits.
    waiting: HashMap<Consumer, VecDeque<Waiter>>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    since: Instant,
    grant: oneshot::Sender<FairPermit>,
}

/// Dropping it lets the next caller proceed.
#[derive(Debug)]
pub struct FairPermit {
    semaphore: Arc<FairSemaphore>,
    consumer: Consumer,
}

/// Removes a caller that was cancelled while it waited.
struct WaitGuard<'a> {
    semaphore: &'a FairSemaphore,
    consumer: &'a Consumer,
    id: u64,
}

impl FairSemaphore {
    #[must_use]
    pub fn new(permits: usize, share: usize) -> Arc<Self> {
        let state = State { free: permits, held: HashMap::new(), waiting: HashMap::new(), next_id: 0 };
        Arc::new(Self { share: share.max(1), state: Mutex::new(state) })
    }

    /// Waits for a permit. A caller that is cancelled while it waits has not acquired any.
    pub async fn acquire(self: &Arc<Self>, consumer: &Consumer) -> FairPermit {
        loop {
            let (id, granted) = {
                let mut state = self.lock();
                // Waiting callers of other consumers cannot proceed if a permit is free, so nobody is overtaken.
                if state.free > 0 && state.held_by(consumer) < self.share {
                    state.grant_to(consumer);
                    return FairPermit { semaphore: self.clone(), consumer: consumer.clone() };
                }
                state.enqueue(consumer)
            };
            let _guard = WaitGuard { semaphore: self, consumer, id };
            if let Ok(permit) = granted.await {
                return permit;
            }
        }
    }

    /// How long the first caller of this consumer has waited.
    #[must_use]
    pub fn longest_wait(&self, consumer: &Consumer) -> Duration {
        let state = self.lock();
        let first = state.waiting.get(consumer).and_then(VecDeque::front);
        first.map_or(Duration::ZERO, |waiter| waiter.since.elapsed())
    }

    /// Number of permits that are held.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.lock().held.values().sum()
    }

    /// Number of callers that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting.values().map(VecDeque::len).sum()
    }

    fn release(self: &Arc<Self>, consumer: &Consumer) {
        let mut state = self.lock();
        state.give_back(consumer);
        let granted = state.next(self.share);
        drop(state);
        if let Some((consumer, grant)) = granted {
            // If the caller was cancelled in this moment, the permit that is dropped here goes to the next one.
            let _ = grant.send(FairPermit { semaphore: self.clone(), consumer });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held_by(&self, consumer: &Consumer) -> usize {
        self.held.get(consumer).copied().unwrap_or(0)
    }

    fn grant_to(&mut self, consumer: &Consumer) {
        self.free -= 1;
        *self.held.entry(consumer.clone()).or_default() += 1;
    }

    fn give_back(&mut self, consumer: &Consumer) {
        self.free += 1;
        if let Some(held) = self.held.get_mut(consumer) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(consumer);
            }
        }
    }

    fn enqueue(&mut self, consumer: &Consumer) -> (u64, oneshot::Receiver<FairPermit>) {
        let (grant, granted) = oneshot::channel();
        let id = self.next_id;
        self.next_id += 1;
        let waiter = Waiter { id, since: Instant::now(), grant };
        self.waiting.entry(consumer.clone()).or_default().push_back(waiter);
        (id, granted)
    }

    fn remove(&mut self, consumer: &Consumer, id: u64) {
        let Some(queue) = self.waiting.get_mut(consumer) else { return };
        queue.retain(|waiter| waiter.id != id);
        if queue.is_empty() {
            self.waiting.remove(consumer);
        }
    }

    /// Takes a permit for the caller that is served next.
    fn next(&mut self, share: usize) -> Option<(Consumer, oneshot::Sender<FairPermit>)> {
        if self.free == 0 {
            return None;
        }
        let candidates = self.waiting.iter().filter_map(|(consumer, queue)| {
            let held = self.held_by(consumer);
            queue.front().filter(|_| held < share).map(|first| ((held, first.id), consumer))
        });
        let consumer = candidates.min_by_key(|(order, _)| *order)?.1.clone();
        let queue = self.waiting.get_mut(&consumer)?;
        let first = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&consumer);
        }
        self.grant_to(&consumer);
        Some((consumer, first.grant))
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        self.semaphore.release(&self.consumer);
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.semaphore.lock().remove(self.consumer, self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::{Consumer, FairSemaphore};

    fn organization(name: &str) -> Consumer {
        Consumer::Organization(name.into())
    }

    #[tokio::test]
    async fn a_permit_goes_to_the_consumer_that_holds_the_fewest_and_then_in_the_order_of_arrival() {
        let permits = FairSemaphore::new(3, 3);
        let (heavy, light) = (organization("heavy"), organization("light"));
        let mut held: Vec<_> = Vec::new();
        for _ in 0..3 {
            held.push(permits.acquire(&heavy).await);
        }
        let mut fourth = Box::pin(permits.acquire(&heavy));
        assert!(fourth.as_mut().now_or_never().is_none());
        let mut first = Box::pin(permits.acquire(&light));
        let mut second = Box::pin(permits.acquire(&light));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert_eq!(permits.waiting(), 3);
        held.pop();
        let _first = first.now_or_never().expect("the light consumer is first, though it came later");
        held.pop();
        assert!(second.as_mut().now_or_never().is_none(), "both hold one, and the other has waited longer");
        let _fourth = fourth.now_or_never().expect("the next permit");
        held.pop();
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_consumer_never_holds_more_than_its_share_although_permits_are_free() {
        let permits = FairSemaphore::new(4, 2);
        let (a, b) = (organization("a"), organization("b"));
        let first = permits.acquire(&a).await;
        let _second = permits.acquire(&a).await;
        let mut third = Box::pin(permits.acquire(&a));
        assert!(third.as_mut().now_or_never().is_none());
        let other = permits.acquire(&b).now_or_never().expect("others have room");
        drop(other);
        assert!(third.as_mut().now_or_never().is_none(), "a permit of another consumer does not help");
        drop(first);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_cancelled_caller_leaves_no_trace_and_its_permit_is_not_lost() {
        let permits = FairSemaphore::new(1, 1);
        let (a, b) = (organization("a"), organization("b"));
        let held = permits.acquire(&a).await;
        let mut waiting = Box::pin(permits.acquire(&b));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(waiting);
        assert_eq!(permits.waiting(), 0);
        let mut granted = Box::pin(permits.acquire(&b));
        assert!(granted.as_mut().now_or_never().is_none());
        drop(held);
        // Dropped after the permit was sent to it and before it was received.
        drop(granted);
        assert!(permits.acquire(&a).now_or_never().is_some());
        let state = permits.lock();
        assert!(state.held.is_empty() && state.waiting.is_empty() && state.free == 1);
    }
}
