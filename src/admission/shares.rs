//! A limit that is divided among consumers and refuses at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::consumer::Consumer;
use crate::error::{Error, Result};

/// Retry delay of what is refused.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A part of a limit, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u8);

impl Share {
    /// The whole limit.
    pub const ALL: Self = Self(100);

    /// `None` unless `percent` is 1 to 100.
    #[must_use]
    pub const fn percent(percent: u8) -> Option<Self> {
        if matches!(percent, 1..=100) { Some(Self(percent)) } else { None }
    }

    /// This part of a number, and at least 1.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        whole.saturating_mul(usize::from(self.0)).div_euclid(100).max(1)
    }
}

impl Default for Share {
    /// One quarter.
    fn default() -> Self {
        Self(25)
    }
}

/// A limit on the total, and on what each consumer uses of it.
///
/// An organization may use its share, and any consumer as much as it leaves free for the others (the rule of dynamic
/// thresholds, Choudhury and Hahne 1998). So when little is left, the consumers that use most are refused first, and one
/// that uses nothing is admitted until nothing is left.
#[derive(Debug)]
pub struct Shares {
    capacity: usize,
    share: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Without consumers that use nothing.
    by_consumer: HashMap<Consumer, usize>,
}

/// A part of a limit that is in use. Dropping it gives the part back.
#[derive(Debug)]
pub struct Permit {
    shares: Arc<Shares>,
    consumer: Consumer,
    amount: usize,
}

impl Shares {
    #[must_use]
    pub fn new(capacity: usize, share: Share) -> Arc<Self> {
        Arc::new(Self { capacity, share: share.of(capacity), state: Mutex::default() })
    }

    /// A limit for each consumer, and none on the total.
    #[must_use]
    pub fn of_each(most: usize) -> Arc<Self> {
        Arc::new(Self { capacity: usize::MAX, share: most, state: Mutex::default() })
    }

    /// # Errors
    /// `Overloaded` if this consumer uses its share, or as much as is left for others.
    pub fn acquire(self: &Arc<Self>, consumer: &Consumer, amount: usize) -> Result<Permit> {
        self.add(consumer, amount)?;
        Ok(Permit { shares: self.clone(), consumer: consumer.clone(), amount })
    }

    fn add(&self, consumer: &Consumer, amount: usize) -> Result<()> {
        let mut state = self.lock();
        let free = self.capacity.saturating_sub(state.used);
        let most = match consumer {
            Consumer::Organization(_) | Consumer::Peer(_) | Consumer::Key(_) => self.share.min(free),
            Consumer::Router | Consumer::Unauthenticated | Consumer::Background => free,
        };
        let uses = state.by_consumer.get(consumer).copied().unwrap_or(0) + amount;
        if uses > most {
            return Err(Error::Overloaded { retry_after: RETRY_AFTER });
        }
        state.used += amount;
        match state.by_consumer.get_mut(consumer) {
            Some(entry) => *entry = uses,
            None => _ = state.by_consumer.insert(consumer.clone(), uses),
        }
        Ok(())
    }

    /// The maximum in total.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// What all consumers use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Adds to what is in use.
    ///
    /// # Errors
    /// `Overloaded`, as [`Shares::acquire`]; nothing is added.
    pub fn grow(&mut self, amount: usize) -> Result<()> {
        self.shares.add(&self.consumer, amount)?;
        self.amount += amount;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shares.lock();
        state.used -= self.amount;
        if let Some(used) = state.by_consumer.get_mut(&self.consumer) {
            *used -= self.amount;
            if *used == 0 {
                state.by_consumer.remove(&self.consumer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, Shares};
    use crate::admission::Consumer;

    fn organization(name: &str) -> Consumer {
        Consumer::Organization(name.into())
    }

    /// As many permits as the consumer gets.
    fn fill(shares: &std::sync::Arc<Shares>, consumer: &Consumer) -> Vec<super::Permit> {
        std::iter::from_fn(|| shares.acquire(consumer, 1).ok()).collect()
    }

    #[test]
    fn an_organization_gets_its_share_and_others_have_room() {
        let shares = Shares::new(100, Share::default());
        let of_a = fill(&shares, &organization("a"));
        assert_eq!(of_a.len(), 25);
        assert_eq!(fill(&shares, &organization("b")).len(), 25, "given back at once");
        drop(of_a);
        assert_eq!(shares.used(), 0);
        assert!(shares.lock().by_consumer.is_empty());
    }

    #[test]
    fn when_little_is_left_the_consumer_that_uses_most_is_refused_and_a_new_one_is_not() {
        let shares = Shares::new(12, Share::ALL);
        let heavy = fill(&shares, &organization("heavy"));
        assert_eq!(heavy.len(), 6, "half of it: as much as it leaves for others");
        let second = fill(&shares, &Consumer::Router);
        assert_eq!(second.len(), 3);
        assert!(shares.acquire(&organization("heavy"), 1).is_err());
        assert!(shares.acquire(&organization("new"), 1).is_ok());
    }

    #[test]
    fn all_of_the_limit_can_be_used_and_no_more() {
        let shares = Shares::new(3, Share::ALL);
        let permits: Vec<_> =
            ["a", "b", "c"].iter().filter_map(|name| shares.acquire(&organization(name), 1).ok()).collect();
        assert_eq!(permits.len(), 3);
        assert!(shares.acquire(&organization("d"), 1).is_err());
        assert_eq!(shares.used(), 3);
    }

    #[test]
    fn a_share_is_at_least_one() {
        assert_eq!(Share::default().of(1), 1);
        assert_eq!(Share::default().of(512), 128);
        assert!(Share::percent(0).is_none() && Share::percent(101).is_none());
    }
}
