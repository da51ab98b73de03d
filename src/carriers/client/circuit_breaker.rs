//! A circuit breaker: a carrier that was seen to be down costs a caller nothing but the news of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use failsafe::{Instrument, StateMachine, backoff};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::carriers::BreakerSettings;
use crate::domain::CarrierKind;

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const HALF_OPEN: u8 = 2;

/// The breaker of one place that we call.
pub(in crate::carriers) struct Breaker {
    machine: StateMachine<ConsecutiveFailures<backoff::Constant>, Watcher>,
    state: Arc<AtomicU8>,
    /// One call finds out whether the carrier is back, the others need not wait for it.
    probe: Semaphore,
    pause: Duration,
}

/// Leave to make one call. What came of it is to be told.
pub(in crate::carriers) struct Leave<'a> {
    breaker: &'a Breaker,
    _probe: Option<SemaphorePermit<'a>>,
}

/// Tells of changes.
struct Watcher {
    carrier: CarrierKind,
    place: String,
    state: Arc<AtomicU8>,
    changed: Arc<watch::Sender<()>>,
}

impl Breaker {
    pub(in crate::carriers) fn new(
        carrier: CarrierKind,
        place: &str,
        settings: BreakerSettings,
        changed: Arc<watch::Sender<()>>,
    ) -> Self {
        let state = Arc::new(AtomicU8::new(CLOSED));
        let watcher = Watcher { carrier, place: place.to_owned(), state: state.clone(), changed };
        let policy = consecutive_failures(settings.faults, backoff::constant(settings.pause));
        Self {
            machine: StateMachine::new(policy, watcher),
            state,
            probe: Semaphore::new(1),
            pause: settings.pause,
        }
    }

    /// Whether the carrier was seen to be down, and not yet to be back.
    pub(in crate::carriers) fn is_cut_off(&self) -> bool {
        self.state.load(Ordering::Relaxed) != CLOSED
    }

    /// Whether it opened after leave was given.
    pub(in crate::carriers) fn is_open(&self) -> bool {
        self.state.load(Ordering::Relaxed) == OPEN
    }

    /// When trying again can help, while it is open.
    pub(in crate::carriers) const fn pause(&self) -> Duration {
        self.pause
    }

    /// Asks to make a call: `None` while it is open, and while another call is finding out.
    pub(in crate::carriers) fn enter(&self) -> Option<Leave<'_>> {
        if !self.machine.is_call_permitted() {
            return None;
        }
        let probe = match self.state.load(Ordering::Relaxed) {
            HALF_OPEN => Some(self.probe.try_acquire().ok()?),
            _ => None,
        };
        Some(Leave { breaker: self, _probe: probe })
    }
}

impl Leave<'_> {
    /// The carrier answered, whatever it said.
    pub(in crate::carriers) fn was_answered(self) {
        self.breaker.machine.on_success();
    }

    /// The carrier itself failed.
    pub(in crate::carriers) fn found_a_fault(self) {
        self.breaker.machine.on_error();
    }
}

impl Watcher {
    fn is_now(&self, state: u8) -> bool {
        let changed = self.state.swap(state, Ordering::Relaxed) != state;
        if changed {
            self.changed.send_replace(());
        }
        changed
    }
}

impl Instrument for Watcher {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        if self.is_now(OPEN) {
            tracing::error!(carrier = %self.carrier, place = self.place,
                "the carrier is down: calls to it fail at once until it is back");
        }
    }

    fn on_half_open(&self) {
        if self.is_now(HALF_OPEN) {
            tracing::info!(carrier = %self.carrier, place = self.place, "one call finds out whether the carrier is back");
        }
    }

    fn on_closed(&self) {
        if self.is_now(CLOSED) {
            tracing::info!(carrier = %self.carrier, place = self.place, "the carrier is back");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::watch;

    use super::Breaker;
    use crate::carriers::BreakerSettings;
    use crate::domain::CarrierKind;

    fn breaker(pause: Duration) -> Breaker {
        let settings = BreakerSettings { faults: 3, pause };
        Breaker::new(CarrierKind::Sendblue, "test", settings, Arc::new(watch::Sender::new(())))
    }

    #[test]
    fn opens_after_faults_in_a_row_and_an_answer_between_them_starts_anew() {
        let breaker = breaker(Duration::from_hours(1));
        for answered in [false, false, true, false, false] {
            let leave = breaker.enter().expect("closed");
            if answered { leave.was_answered() } else { leave.found_a_fault() }
        }
        assert!(!breaker.is_cut_off(), "no three in a row");
        breaker.enter().expect("closed").found_a_fault();
        assert!(breaker.is_cut_off());
        assert!(breaker.enter().is_none());
    }

    #[test]
    fn one_call_at_a_time_finds_out_and_decides() {
        let breaker = breaker(Duration::ZERO);
        for _ in 0..3 {
            breaker.enter().expect("closed").found_a_fault();
        }
        let probe = breaker.enter().expect("the pause is over");
        assert!(breaker.enter().is_none(), "one is finding out");
        drop(probe);
        breaker.enter().expect("the first one was given up").found_a_fault();
        assert!(breaker.is_cut_off(), "still down");
        let probe = breaker.enter().expect("the pause is over");
        probe.was_answered();
        assert!(!breaker.is_cut_off());
        assert!(breaker.enter().is_some() && breaker.enter().is_some(), "closed again");
    }
}
