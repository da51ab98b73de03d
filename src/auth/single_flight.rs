//! Single flight: concurrent loads of one key share one result.
//!
//! Unlike a cache, a result is not kept: a caller that arrives after a load has ended starts a new one. If the caller that
//! performs the load is cancelled, a waiting caller performs it again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

type Flights<K, V> = Mutex<HashMap<K, Arc<OnceCell<V>>>>;

/// The loads in progress. At most one entry per waiting caller.
#[derive(Debug)]
pub(super) struct SingleFlight<K, V> {
    flights: Flights<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> SingleFlight<K, V> {
    pub(super) fn new() -> Self {
        Self { flights: Mutex::default() }
    }

    /// The result of the load of `key` that is in progress, or of `load` if there is none.
    pub(super) async fn load(&self, key: K, load: impl Future<Output = V>) -> V {
        let flight = Flight::join(&self.flights, key);
        let value = flight.cell.get_or_init(|| async {
            let value = load.await;
            // Later callers start a new load instead of joining this one while its waiters are being woken.
            flight.leave();
            value
        });
        value.await.clone()
    }
}

/// One caller's part in a load.
struct Flight<'a, K: Eq + Hash, V> {
    flights: &'a Flights<K, V>,
    key: K,
    cell: Arc<OnceCell<V>>,
}

impl<'a, K: Eq + Hash + Clone, V> Flight<'a, K, V> {
    fn join(flights: &'a Flights<K, V>, key: K) -> Self {
        let mut open = flights.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = open.entry(key.clone()).or_default().clone();
        Self { flights, key, cell }
    }
}

impl<K: Eq + Hash, V> Flight<'_, K, V> {
    /// Removes the load from those that callers can join. Called by the caller that has performed it.
    fn leave(&self) {
        let mut open = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell)) {
            open.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash, V> Drop for Flight<'_, K, V> {
    fn drop(&mut self) {
        let mut open = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that of two callers that leave at once the second one sees that it is the last.
        drop(std::mem::take(&mut self.cell));
        if open.get(&self.key).is_some_and(|cell| Arc::strong_count(cell) == 1) {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::SingleFlight;

    #[tokio::test]
    async fn concurrent_loads_of_a_key_are_one_and_later_ones_another() {
        let flights = SingleFlight::new();
        let loads = AtomicU32::new(0);
        let load = |key: &'static str| {
            flights.load(key, async {
                sleep(Duration::from_millis(50)).await;
                loads.fetch_add(1, Ordering::Relaxed) + 1
            })
        };
        let (same, other) = tokio::join!(join_all((0..100).map(|_| load("a"))), load("b"));
        assert!(same.iter().all(|load| *load == same[0]) && other != same[0]);
        assert_eq!(loads.load(Ordering::Relaxed), 2);
        assert_eq!(load("a").await, 3, "results are not kept");
        assert!(flights.flights.lock().expect("a lock").is_empty());
    }

    #[tokio::test]
    async fn a_cancelled_load_is_performed_by_a_caller_that_waits() {
        let flights = SingleFlight::new();
        let load = |takes: u64| {
            flights.load("a", async move {
                sleep(Duration::from_millis(takes)).await;
                takes
            })
        };
        let (first, second) = tokio::join!(timeout(Duration::from_millis(20), load(10_000)), load(50));
        assert!(first.is_err());
        assert_eq!(second, 50);
        assert!(timeout(Duration::from_millis(20), load(10_000)).await.is_err());
        assert!(
            flights.flights.lock().expect("a lock").is_empty(),
            "a load that nobody waits for is removed"
        );
    }
}
