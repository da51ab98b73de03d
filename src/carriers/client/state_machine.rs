//! The transitions of a circuit breaker, without a clock, locks and logging.
//!
//! - **Closed**: every call is permitted. Its outcomes are counted; if they show that calls fail, the breaker opens: for
//!   everyone, or for the one consumer who called.
//! - **Open**: no call of these is permitted, until the pause is over. Calls of others are, and their success closes the
//!   breaker.
//! - **Half-open**: each consumer may make one call at a time, a probe. Its success closes the breaker. Its failure means
//!   another pause for this consumer alone, so that nobody whose calls fail for a reason of their own keeps the breaker
//!   from closing. If the probe is cancelled, the next call is a probe.

use std::collections::HashMap;

use tokio::time::Instant;

use super::outcome_window::{OutcomeWindow, Scope};
use crate::admission::Consumer;
use crate::carriers::settings::BreakerSettings;

/// Maximum number of concurrent probes of all consumers together: a carrier that recovers is not flooded.
const MAX_PROBES: usize = 8;

pub(super) struct StateMachine {
    pub(super) state: State,
    window: OutcomeWindow,
    settings: BreakerSettings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Open {
        scope: Scope,
        until: Instant,
    },
    HalfOpen {
        scope: Scope,
        /// Without those that failed longer than a pause ago.
        probes: HashMap<Consumer, Probe>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Running,
    /// Failed; the next one of this consumer is not permitted before this time.
    Failed {
        until: Instant,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PermitKind {
    Regular,
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Cancelled,
}

impl StateMachine {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { state: State::Closed, window: OutcomeWindow::default(), settings }
    }

    pub(super) fn acquire(&mut self, consumer: &Consumer, now: Instant) -> Option<PermitKind> {
        match &mut self.state {
            State::Closed => Some(PermitKind::Regular),
            State::Open { scope, .. } | State::HalfOpen { scope, .. } if !scope.includes(consumer) => {
                Some(PermitKind::Regular)
            }
            State::Open { until, .. } if now < *until => None,
            State::Open { scope, .. } => {
                let probes = HashMap::from([(consumer.clone(), Probe::Running)]);
                self.state = State::HalfOpen { scope: scope.clone(), probes };
                Some(PermitKind::Probe)
            }
            State::HalfOpen { probes, .. } => {
                probes.retain(|_, probe| !matches!(probe, Probe::Failed { until } if *until <= now));
                let running = probes.values().filter(|probe| **probe == Probe::Running).count();
                if running >= MAX_PROBES || probes.contains_key(consumer) {
                    return None;
                }
                probes.insert(consumer.clone(), Probe::Running);
                Some(PermitKind::Probe)
            }
        }
    }

    /// Whether a call with this permit may still be made.
    pub(super) fn is_valid(&self, permit: PermitKind, consumer: &Consumer) -> bool {
        match (&self.state, permit) {
            (State::Closed, PermitKind::Regular) | (State::HalfOpen { .. }, PermitKind::Probe) => true,
            (State::Open { scope, .. } | State::HalfOpen { scope, .. }, PermitKind::Regular) => {
                !scope.includes(consumer)
            }
            (State::Closed | State::Open { .. }, PermitKind::Probe) => false,
        }
    }

    pub(super) fn record(&mut self, permit: PermitKind, consumer: &Consumer, outcome: Outcome, now: Instant) {
        // A call may end after the breaker has opened for it. It started before, so it proves nothing new.
        if !self.is_valid(permit, consumer) {
            return;
        }
        match permit {
            PermitKind::Regular => self.record_regular(consumer, outcome, now),
            PermitKind::Probe => self.record_probe(consumer, outcome, now),
        }
    }

    fn record_regular(&mut self, consumer: &Consumer, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Success => {
                self.window.record(consumer, true, now);
                // If it was open for another consumer: the carrier works.
                self.state = State::Closed;
            }
            Outcome::Failure => {
                self.window.record(consumer, false, now);
                if let Some(scope) = self.window.failing(self.settings.min_calls) {
                    self.state = State::Open { scope, until: now + self.settings.pause };
                }
            }
        }
    }

    fn record_probe(&mut self, consumer: &Consumer, outcome: Outcome, now: Instant) {
        let State::HalfOpen { probes, .. } = &mut self.state else { return };
        match outcome {
            Outcome::Cancelled => {
                probes.remove(consumer);
            }
            Outcome::Failure => {
                probes.insert(consumer.clone(), Probe::Failed { until: now + self.settings.pause });
            }
            Outcome::Success => {
                self.state = State::Closed;
                self.window.clear();
            }
        }
    }
}

#[cfg(test)]
#[path = "state_machine_tests.rs"]
mod tests;
