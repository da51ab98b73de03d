//! How often one identity may reach phones.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::domain::IdentityId;
use crate::error::{Error, Result};

/// The actions of 10 seconds, a sixth of a minute, may happen at once.
const BURSTS_PER_MINUTE: u32 = 6;
/// Minimum number of actions that may happen at once.
const MIN_BURST: u32 = 10;
/// Identities that have not acted for a while are forgotten after each of this many actions, so that this many identities
/// besides the active ones are known at most.
const CLEANUP_INTERVAL: u32 = 1_024;

/// A limit on the rate of everything that an identity does to phones: messages, tapbacks, removals of tapbacks, typing and
/// read receipts. It protects lines from being banned by their carrier, and each process counts for itself.
pub struct ActionRate<C: Clock = DefaultClock> {
    /// `None` = unlimited.
    limiter: Option<Limiter<C>>,
    counted: AtomicU32,
}

type Limiter<C> =
    RateLimiter<IdentityId, DefaultKeyedStateStore<IdentityId>, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl ActionRate {
    /// `None` = unlimited.
    #[must_use]
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self::with_clock(per_minute, DefaultClock::default())
    }
}

impl<C: Clock> ActionRate<C> {
    fn with_clock(per_minute: Option<NonZeroU32>, clock: C) -> Self {
        let quota = |per_minute: NonZeroU32| {
            let burst = NonZeroU32::new((per_minute.get() / BURSTS_PER_MINUTE).max(MIN_BURST))?;
            Some(Quota::with_period(Duration::from_mins(1) / per_minute.get())?.allow_burst(burst))
        };
        let limiter = per_minute
            .and_then(quota)
            .map(|quota| RateLimiter::new(quota, DefaultKeyedStateStore::default(), clock));
        Self { limiter, counted: AtomicU32::new(0) }
    }

    /// Counts an action, which must be permitted in all other respects. What is refused is not counted.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn count(&self, identity_id: IdentityId) -> Result<()> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if self.counted.fetch_add(1, Ordering::Relaxed) % CLEANUP_INTERVAL == CLEANUP_INTERVAL - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(&identity_id).map_err(|refused| Error::RateLimited {
            retry_after: refused.wait_time_from(limiter.clock().now()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use uuid::Uuid;

    use super::{ActionRate, CLEANUP_INTERVAL};
    use crate::error::Error;

    fn rate(per_minute: u32) -> (ActionRate<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (ActionRate::with_clock(NonZeroU32::new(per_minute), clock.clone()), clock)
    }

    /// The number of actions that are permitted at once, and the delay after which the next one is.
    fn burst(rate: &ActionRate<FakeRelativeClock>, identity: u128) -> (usize, Duration) {
        for number in 0..10_000 {
            if let Err(Error::RateLimited { retry_after }) = rate.count(Uuid::from_u128(identity).into()) {
                return (number, retry_after);
            }
        }
        (10_000, Duration::ZERO)
    }

    #[test]
    fn an_identity_may_do_ten_seconds_worth_at_once_and_then_go_on_at_its_rate() {
        let (rate, clock) = rate(600);
        assert_eq!(burst(&rate, 1), (100, Duration::from_millis(100)));
        assert_eq!(burst(&rate, 2), (100, Duration::from_millis(100)), "each identity is limited for itself");
        clock.advance(Duration::from_secs(3));
        assert_eq!(burst(&rate, 1).0, 30);
        clock.advance(Duration::from_hours(1));
        assert_eq!(burst(&rate, 1).0, 100);
    }

    #[test]
    fn at_least_ten_actions_may_happen_at_once_and_zero_is_unlimited() {
        assert_eq!(burst(&rate(1).0, 1), (10, Duration::from_mins(1)));
        assert_eq!(burst(&rate(0).0, 1).0, 10_000);
    }

    #[test]
    fn identities_that_no_longer_act_are_forgotten() {
        let (rate, clock) = rate(600);
        for identity in 0..10 * u128::from(CLEANUP_INTERVAL) {
            rate.count(Uuid::from_u128(identity).into()).expect("the first action");
            clock.advance(Duration::from_secs(1));
        }
        let known = rate.limiter.as_ref().map_or(0, governor::RateLimiter::len);
        assert!(known <= CLEANUP_INTERVAL as usize + 1, "{known}");
    }
}
