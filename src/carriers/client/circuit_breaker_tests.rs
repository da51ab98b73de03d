//! The transitions of the circuit breaker.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{CircuitBreaker, Outcome, PermitKind, State, StateMachine};
use crate::carriers::settings::BreakerSettings;
use crate::domain::CarrierKind;

const PAUSE: Duration = Duration::from_secs(5);

fn closed() -> StateMachine {
    StateMachine::new(BreakerSettings { faults: 3, pause: PAUSE })
}

/// A machine that opened at `now`.
fn open(now: Instant) -> StateMachine {
    let mut machine = closed();
    for _ in 0..3 {
        call(&mut machine, Outcome::Failure, now);
    }
    machine
}

#[track_caller]
fn call(machine: &mut StateMachine, outcome: Outcome, now: Instant) {
    let permit = machine.acquire(now).expect("a permit");
    machine.record(permit, outcome, now);
}

#[test]
fn a_closed_breaker_opens_after_consecutive_failures() {
    let now = Instant::now();
    let mut machine = closed();
    for failures in 1..=2 {
        call(&mut machine, Outcome::Failure, now);
        assert_eq!(machine.state, State::Closed { failures });
    }
    call(&mut machine, Outcome::Failure, now);
    assert_eq!(machine.state, State::Open { until: now + PAUSE });
}

#[test]
fn a_success_resets_the_count_of_failures_and_a_cancelled_call_does_not() {
    let now = Instant::now();
    let mut machine = closed();
    for outcome in [Outcome::Failure, Outcome::Failure, Outcome::Success, Outcome::Failure] {
        call(&mut machine, outcome, now);
    }
    call(&mut machine, Outcome::Cancelled, now);
    assert_eq!(machine.state, State::Closed { failures: 1 });
}

#[test]
fn an_open_breaker_permits_nothing_until_its_pause_is_over() {
    let now = Instant::now();
    let mut machine = open(now);
    assert_eq!(machine.acquire(now), None);
    assert_eq!(machine.acquire(now + PAUSE - Duration::from_millis(1)), None);
    assert_eq!(machine.acquire(now + PAUSE), Some(PermitKind::Probe));
}

#[test]
fn a_half_open_breaker_permits_one_probe_at_a_time() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    assert_eq!(machine.acquire(later), Some(PermitKind::Probe));
    assert_eq!(machine.acquire(later + PAUSE), None, "the probe is running");
}

#[test]
fn a_cancelled_probe_makes_room_for_the_next_one() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    call(&mut machine, Outcome::Cancelled, later);
    assert_eq!(machine.acquire(later), Some(PermitKind::Probe));
}

#[test]
fn a_successful_probe_closes_the_breaker() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    call(&mut machine, Outcome::Success, later);
    assert_eq!(machine.state, State::Closed { failures: 0 });
    assert_eq!(machine.acquire(later), Some(PermitKind::Regular));
}

#[test]
fn a_failed_probe_opens_the_breaker_for_another_pause() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    call(&mut machine, Outcome::Failure, later);
    assert_eq!(machine.state, State::Open { until: later + PAUSE });
}

#[test]
fn a_call_that_started_before_the_breaker_opened_changes_nothing_after_it() {
    let now = Instant::now();
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Cancelled] {
        let mut machine = open(now);
        machine.record(PermitKind::Regular, outcome, now);
        assert_eq!(machine.state, State::Open { until: now + PAUSE }, "{outcome:?}");
        machine.acquire(now + PAUSE).expect("a probe");
        machine.record(PermitKind::Regular, outcome, now + PAUSE);
        assert_eq!(machine.state, State::HalfOpen { has_probe: true }, "{outcome:?}");
    }
}

#[test]
fn a_waiting_call_may_not_be_made_once_the_breaker_has_opened() {
    let now = Instant::now();
    let mut machine = open(now);
    assert!(!machine.is_valid(PermitKind::Regular), "open");
    let probe = machine.acquire(now + PAUSE).expect("a probe");
    assert!(machine.is_valid(probe) && !machine.is_valid(PermitKind::Regular), "half-open");
    machine.record(probe, Outcome::Success, now + PAUSE);
    assert!(machine.is_valid(PermitKind::Regular), "closed");
}

#[test]
fn permits_drive_the_state_machine_and_each_change_is_announced() {
    let changed = Arc::new(watch::Sender::new(()));
    let mut changes = changed.subscribe();
    let mut has_changed = move || {
        let has_changed = changes.has_changed().expect("a sender");
        changes.mark_unchanged();
        has_changed
    };
    let settings = BreakerSettings { faults: 2, pause: Duration::ZERO };
    let breaker = CircuitBreaker::new(CarrierKind::Sendblue, "test", settings, changed.clone());
    breaker.acquire().expect("closed").on_failure();
    assert!(!breaker.is_open() && !has_changed());
    breaker.acquire().expect("closed").on_failure();
    assert!(breaker.is_open() && has_changed(), "open");
    let probe = breaker.acquire().expect("the pause is over");
    assert!(breaker.is_open() && has_changed(), "half-open");
    assert!(breaker.acquire().is_none(), "one probe at a time");
    drop(probe);
    let probe = breaker.acquire().expect("the first probe was cancelled");
    assert!(!has_changed(), "still half-open");
    probe.on_success();
    assert!(!breaker.is_open() && has_changed(), "closed");
    assert!(breaker.acquire().is_some() && breaker.acquire().is_some());
}
