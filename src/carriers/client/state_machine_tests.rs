use std::time::Duration;

use tokio::time::Instant;

use super::{MAX_PROBES, Outcome, PermitKind, Probe, State, StateMachine};
use crate::admission::Consumer;
use crate::carriers::client::outcome_window::Scope;
use crate::carriers::settings::BreakerSettings;

const PAUSE: Duration = Duration::from_secs(5);
const MIN_CALLS: usize = 4;

fn organization(name: &str) -> Consumer {
    Consumer::Organization(name.into())
}

fn closed() -> StateMachine {
    StateMachine::new(BreakerSettings { min_calls: MIN_CALLS, pause: PAUSE })
}

/// Makes a call, if it is permitted.
#[track_caller]
fn call(machine: &mut StateMachine, name: &str, outcome: Outcome, now: Instant) {
    let consumer = organization(name);
    let permit = machine.acquire(&consumer, now).expect("a permit");
    machine.record(permit, &consumer, outcome, now);
}

/// A machine that opened for everyone at `now`.
fn open(now: Instant) -> StateMachine {
    let mut machine = closed();
    for name in ["a", "b", "a", "b"] {
        call(&mut machine, name, Outcome::Failure, now);
    }
    assert_eq!(machine.state, State::Open { scope: Scope::Everyone, until: now + PAUSE });
    machine
}

/// A machine that opened for the organization `a` at `now`.
fn open_for_a(now: Instant) -> StateMachine {
    let mut machine = closed();
    for _ in 0..MIN_CALLS {
        call(&mut machine, "a", Outcome::Failure, now);
    }
    assert_eq!(machine.state, State::Open { scope: Scope::Only(organization("a")), until: now + PAUSE });
    machine
}

fn acquire(machine: &mut StateMachine, name: &str, now: Instant) -> Option<PermitKind> {
    machine.acquire(&organization(name), now)
}

#[test]
fn calls_one_after_the_other_open_a_closed_breaker_and_cancelled_calls_do_not_count() {
    let now = Instant::now();
    let mut machine = closed();
    for _ in 0..MIN_CALLS {
        call(&mut machine, "a", Outcome::Cancelled, now);
    }
    for outcome in [Outcome::Failure, Outcome::Success, Outcome::Failure] {
        call(&mut machine, "a", outcome, now);
        assert_eq!(machine.state, State::Closed);
    }
    call(&mut machine, "a", Outcome::Failure, now);
    assert!(matches!(machine.state, State::Open { .. }));
}

#[test]
fn an_open_breaker_permits_no_call_until_the_pause_is_over() {
    let now = Instant::now();
    let mut machine = open(now);
    for name in ["a", "c"] {
        assert_eq!(acquire(&mut machine, name, now), None);
        assert_eq!(acquire(&mut machine, name, now + PAUSE - Duration::from_millis(1)), None);
    }
    assert_eq!(acquire(&mut machine, "a", now + PAUSE), Some(PermitKind::Probe));
}

#[test]
fn a_breaker_that_opened_for_one_organization_permits_the_calls_of_others() {
    let now = Instant::now();
    let mut machine = open_for_a(now);
    assert_eq!(acquire(&mut machine, "a", now), None);
    assert_eq!(acquire(&mut machine, "b", now), Some(PermitKind::Regular));
    call(&mut machine, "b", Outcome::Success, now);
    assert_eq!(machine.state, State::Closed, "the carrier works");
    for _ in 0..2 * MIN_CALLS {
        call(&mut machine, "a", Outcome::Failure, now);
        assert_eq!(machine.state, State::Closed, "a success of another organization is known");
    }
}

#[test]
fn a_breaker_that_opened_for_one_organization_opens_for_everyone_if_others_fail_as_well() {
    let now = Instant::now();
    let mut machine = open_for_a(now);
    call(&mut machine, "b", Outcome::Failure, now);
    assert_eq!(machine.state, State::Open { scope: Scope::Everyone, until: now + PAUSE });
}

#[test]
fn each_organization_has_one_probe_at_a_time_and_all_together_have_a_maximum() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    assert_eq!(acquire(&mut machine, "a", later), Some(PermitKind::Probe));
    assert_eq!(acquire(&mut machine, "a", later + PAUSE), None, "the probe is running");
    for at in 1..MAX_PROBES {
        assert_eq!(acquire(&mut machine, &at.to_string(), later), Some(PermitKind::Probe));
    }
    assert_eq!(acquire(&mut machine, "b", later), None);
    machine.record(PermitKind::Probe, &organization("a"), Outcome::Failure, later);
    assert_eq!(acquire(&mut machine, "b", later), Some(PermitKind::Probe));
}

#[test]
fn a_cancelled_probe_makes_room_for_the_next_one() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    call(&mut machine, "a", Outcome::Cancelled, later);
    assert_eq!(acquire(&mut machine, "a", later), Some(PermitKind::Probe));
}

#[test]
fn a_successful_probe_closes_the_breaker_and_forgets_the_failures() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    call(&mut machine, "a", Outcome::Success, later);
    assert_eq!(machine.state, State::Closed);
    call(&mut machine, "a", Outcome::Failure, later);
    assert_eq!(machine.state, State::Closed);
}

#[test]
fn a_failed_probe_means_another_pause_for_this_organization_alone() {
    let later = Instant::now() + PAUSE;
    let mut machine = open(later - PAUSE);
    call(&mut machine, "a", Outcome::Failure, later);
    assert_eq!(acquire(&mut machine, "a", later), None);
    assert_eq!(acquire(&mut machine, "b", later), Some(PermitKind::Probe));
    assert_eq!(acquire(&mut machine, "a", later + PAUSE), Some(PermitKind::Probe));
    let State::HalfOpen { probes, .. } = &machine.state else { panic!("half-open") };
    assert!(probes.values().all(|probe| *probe == Probe::Running), "failures are forgotten after the pause");
    machine.record(PermitKind::Probe, &organization("b"), Outcome::Success, later + PAUSE);
    assert_eq!(machine.state, State::Closed);
}

#[test]
fn a_call_that_started_before_the_breaker_opened_changes_nothing_after_it() {
    let now = Instant::now();
    let a = organization("a");
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Cancelled] {
        for mut machine in [open(now), open_for_a(now)] {
            let before = machine.state.clone();
            machine.record(PermitKind::Regular, &a, outcome, now);
            assert_eq!(machine.state, before, "{outcome:?}");
            machine.acquire(&a, now + PAUSE).expect("a probe");
            let before = machine.state.clone();
            machine.record(PermitKind::Regular, &a, outcome, now + PAUSE);
            assert_eq!(machine.state, before, "{outcome:?}");
        }
    }
}

#[test]
fn a_waiting_call_may_not_be_made_once_the_breaker_has_opened() {
    let now = Instant::now();
    let a = organization("a");
    let mut machine = open(now);
    assert!(!machine.is_valid(PermitKind::Regular, &a), "open");
    let probe = machine.acquire(&a, now + PAUSE).expect("a probe");
    assert!(machine.is_valid(probe, &a) && !machine.is_valid(PermitKind::Regular, &a), "half-open");
    machine.record(probe, &a, Outcome::Success, now + PAUSE);
    assert!(machine.is_valid(PermitKind::Regular, &a), "closed");
}
