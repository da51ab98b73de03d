//! A circuit breaker: while a carrier is down, calls fail immediately instead of waiting for a timeout.
//!
//! - **Closed**: every call is permitted. A number of consecutive failures opens the breaker.
//! - **Open**: no call is permitted, until the pause is over.
//! - **Half-open**: one call, the probe, is permitted at a time. Its success closes the breaker, its failure opens it for
//!   another pause. If the probe is cancelled, the next call is the probe.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::carriers::settings::BreakerSettings;
use crate::domain::CarrierKind;

/// The circuit breaker of one host.
pub(in crate::carriers) struct CircuitBreaker {
    carrier: CarrierKind,
    /// Host and port, for the log.
    host: String,
    machine: Mutex<StateMachine>,
    pause: Duration,
    changed: Arc<watch::Sender<()>>,
}

/// Permission to make one call. Dropped without [`Permit::on_success`] or [`Permit::on_failure`], the call counts as
/// cancelled.
pub(in crate::carriers) struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    kind: PermitKind,
    outcome: Outcome,
}

/// The transitions, without a clock, locks and logging.
struct StateMachine {
    state: State,
    settings: BreakerSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { has_probe: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PermitKind {
    Regular,
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Cancelled,
}

impl StateMachine {
    const fn new(settings: BreakerSettings) -> Self {
        Self { state: State::Closed { failures: 0 }, settings }
    }

    fn acquire(&mut self, now: Instant) -> Option<PermitKind> {
        match self.state {
            State::Closed { .. } => Some(PermitKind::Regular),
            State::Open { until } if now < until => None,
            State::HalfOpen { has_probe: true } => None,
            State::Open { .. } | State::HalfOpen { has_probe: false } => {
                self.state = State::HalfOpen { has_probe: true };
                Some(PermitKind::Probe)
            }
        }
    }

    /// Whether a call with this permit may still be made.
    const fn is_valid(&self, permit: PermitKind) -> bool {
        matches!(
            (self.state, permit),
            (State::Closed { .. }, PermitKind::Regular) | (State::HalfOpen { .. }, PermitKind::Probe)
        )
    }

    fn record(&mut self, permit: PermitKind, outcome: Outcome, now: Instant) {
        // A regular call may end after the breaker has opened. It started before, so it proves nothing new.
        if !self.is_valid(permit) {
            return;
        }
        let open = State::Open { until: now + self.settings.pause };
        self.state = match (self.state, outcome) {
            (_, Outcome::Success) => State::Closed { failures: 0 },
            (State::Closed { failures }, Outcome::Failure) => {
                let failures = failures + 1;
                if failures >= self.settings.faults { open } else { State::Closed { failures } }
            }
            (_, Outcome::Failure) => open,
            (State::HalfOpen { .. }, Outcome::Cancelled) => State::HalfOpen { has_probe: false },
            (state, Outcome::Cancelled) => state,
        };
    }
}

impl CircuitBreaker {
    pub(in crate::carriers) fn new(
        carrier: CarrierKind,
        host: &str,
        settings: BreakerSettings,
        changed: Arc<watch::Sender<()>>,
    ) -> Self {
        let machine = Mutex::new(StateMachine::new(settings));
        Self { carrier, host: host.to_owned(), machine, pause: settings.pause, changed }
    }

    /// Whether the breaker is open or half-open.
    pub(in crate::carriers) fn is_open(&self) -> bool {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(machine.state, State::Closed { .. })
    }

    /// Time in the open state, before a probe is permitted.
    pub(in crate::carriers) const fn pause(&self) -> Duration {
        self.pause
    }

    /// `None` while the breaker is open, and while the probe of a half-open breaker is running.
    pub(in crate::carriers) fn acquire(&self) -> Option<Permit<'_>> {
        let kind = self.transition(|machine| machine.acquire(Instant::now()))?;
        Some(Permit { breaker: self, kind, outcome: Outcome::Cancelled })
    }

    /// Runs a step of the state machine, and reports a change of the state.
    fn transition<T>(&self, step: impl FnOnce(&mut StateMachine) -> T) -> T {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let before = machine.state;
        let result = step(&mut machine);
        let after = machine.state;
        drop(machine);
        if std::mem::discriminant(&before) == std::mem::discriminant(&after) {
            return result;
        }
        self.changed.send_replace(());
        let (carrier, host) = (self.carrier, &self.host);
        match after {
            State::Open { .. } => {
                tracing::error!(%carrier, place = host, "the carrier is down: circuit breaker opened");
            }
            State::HalfOpen { .. } => {
                tracing::info!(%carrier, place = host, "circuit breaker probes the carrier");
            }
            State::Closed { .. } => {
                tracing::info!(%carrier, place = host, "the carrier is back: circuit breaker closed");
            }
        }
        result
    }
}

impl Permit<'_> {
    /// Whether the call may still be made. False if the breaker has opened since the permit was acquired.
    pub(in crate::carriers) fn is_valid(&self) -> bool {
        self.breaker.machine.lock().unwrap_or_else(PoisonError::into_inner).is_valid(self.kind)
    }

    /// The carrier responded, whatever the response was.
    pub(in crate::carriers) fn on_success(mut self) {
        self.outcome = Outcome::Success;
    }

    /// The carrier itself failed.
    pub(in crate::carriers) fn on_failure(mut self) {
        self.outcome = Outcome::Failure;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.breaker.transition(|machine| machine.record(self.kind, self.outcome, Instant::now()));
    }
}

#[cfg(test)]
#[path = "circuit_breaker_tests.rs"]
mod tests;
