//! A circuit breaker: while a carrier is down, calls fail immediately instead of waiting for a timeout. `state_machine`
//! defines when it opens and closes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::call_class::CallClass;
use super::outcome_window::Scope;
use super::state_machine::{Outcome, PermitKind, State, StateMachine};
use crate::admission::Consumer;
use crate::carriers::settings::BreakerSettings;
use crate::domain::CarrierKind;

/// The circuit breaker of one class of calls to one host.
pub(in crate::carriers) struct CircuitBreaker {
    carrier: CarrierKind,
    class: CallClass,
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
    consumer: Consumer,
    kind: PermitKind,
    outcome: Outcome,
}

impl CircuitBreaker {
    pub(in crate::carriers) fn new(
        carrier: CarrierKind,
        class: CallClass,
        host: &str,
        settings: BreakerSettings,
        changed: Arc<watch::Sender<()>>,
    ) -> Self {
        let machine = Mutex::new(StateMachine::new(settings));
        Self { carrier, class, host: host.to_owned(), machine, pause: settings.pause, changed }
    }

    /// Whether the breaker is open or half-open, be it for one consumer.
    pub(in crate::carriers) fn is_open(&self) -> bool {
        !matches!(self.lock().state, State::Closed)
    }

    /// Time in the open state, before a probe is permitted.
    pub(in crate::carriers) const fn pause(&self) -> Duration {
        self.pause
    }

    /// `None` while the breaker is open for this consumer, unless the call is a probe.
    pub(in crate::carriers) fn acquire(&self, consumer: &Consumer) -> Option<Permit<'_>> {
        let kind = self.transition(|machine| machine.acquire(consumer, Instant::now()))?;
        Some(Permit { breaker: self, consumer: consumer.clone(), kind, outcome: Outcome::Cancelled })
    }

    /// Runs a step of the state machine, and reports a change of the state.
    fn transition<T>(&self, step: impl FnOnce(&mut StateMachine) -> T) -> T {
        let mut machine = self.lock();
        let before = Phase::of(&machine.state);
        let result = step(&mut machine);
        let after = Phase::of(&machine.state);
        drop(machine);
        if before != after {
            self.changed.send_replace(());
            self.log(after);
        }
        result
    }

    fn log(&self, phase: Phase) {
        let (carrier, class, host) = (self.carrier, self.class.name(), &self.host);
        match phase {
            Phase::Open { for_everyone: true } => {
                tracing::error!(%carrier, class, place = host, "the carrier is down: circuit breaker opened");
            }
            Phase::Open { for_everyone: false } => tracing::error!(
                %carrier, class, place = host,
                "the calls of the only organization that makes any fail: circuit breaker opened for it"
            ),
            Phase::HalfOpen => {
                tracing::info!(%carrier, class, place = host, "circuit breaker probes the carrier");
            }
            Phase::Closed => {
                tracing::info!(%carrier, class, place = host, "the carrier is back: circuit breaker closed");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, StateMachine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a state whose changes are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { for_everyone: bool },
    HalfOpen,
}

impl Phase {
    const fn of(state: &State) -> Self {
        match state {
            State::Closed => Self::Closed,
            State::Open { scope, .. } => Self::Open { for_everyone: matches!(scope, Scope::Everyone) },
            State::HalfOpen { .. } => Self::HalfOpen,
        }
    }
}

impl Permit<'_> {
    /// Whether the call may still be made. False if the breaker has opened since the permit was acquired.
    pub(in crate::carriers) fn is_valid(&self) -> bool {
        self.breaker.lock().is_valid(self.kind, &self.consumer)
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
        let now = Instant::now();
        self.breaker.transition(|machine| machine.record(self.kind, &self.consumer, self.outcome, now));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::watch;

    use super::{CallClass, CircuitBreaker, Consumer};
    use crate::carriers::settings::BreakerSettings;
    use crate::domain::CarrierKind;

    #[test]
    fn permits_drive_the_state_machine_and_each_change_is_announced() {
        let changed = Arc::new(watch::Sender::new(()));
        let mut receiver = changed.subscribe();
        let mut has_changed = move || {
            let has_changed = receiver.has_changed().expect("a sender");
            receiver.mark_unchanged();
            has_changed
        };
        let settings = BreakerSettings { min_calls: 2, pause: Duration::ZERO };
        let breaker =
            CircuitBreaker::new(CarrierKind::Sendblue, CallClass::Send, "test", settings, changed.clone());
        let a = Consumer::Organization("a".into());
        breaker.acquire(&a).expect("closed").on_failure();
        assert!(!breaker.is_open() && !has_changed());
        breaker.acquire(&a).expect("closed").on_failure();
        assert!(breaker.is_open() && has_changed(), "open");
        let probe = breaker.acquire(&a).expect("the pause is over");
        assert!(breaker.is_open() && has_changed(), "half-open");
        assert!(breaker.acquire(&a).is_none(), "one probe at a time");
        drop(probe);
        let probe = breaker.acquire(&a).expect("the first probe was cancelled");
        assert!(!has_changed(), "still half-open");
        probe.on_success();
        assert!(!breaker.is_open() && has_changed(), "closed");
        assert!(breaker.acquire(&a).is_some() && breaker.acquire(&a).is_some());
    }
}
