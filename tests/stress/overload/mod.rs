//! Overload: three times as many calls as the service can serve. It must keep serving about as many as it can, refuse the
//! others at once, stay healthy and within its memory, and recover right afterwards. The service is the real binary in its
//! own process; the load is open-loop, so callers do not wait for responses before the next call.
//!
//! A round is 0.6 s of overload. The bounds on times and shares apply from 60 s on. The short form only asserts what holds
//! on a machine that is busy otherwise: refusals have a retry delay, health responds, memory is bounded, and calls are
//! served afterwards.

mod cpus;
mod load;
mod mix;
mod service;
mod watch;

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::Instant;
use tonic::Status;

use crate::length;
use crate::overload::load::{Load, Tally};
use crate::overload::mix::Mix;
use crate::overload::service::Service;
use crate::overload::watch::{Health, Memory, cpu_time};
use crate::support::PATIENCE;

/// Seconds of overload in the short form, and from which on the form is the long one.
const SHORT: u64 = 2;
const LONG: u64 = 60;
/// Memory that the overload may take beyond what the service had when it was fully busy, and beyond what the first half
/// of the overload took. Mebibytes.
const MOST_MORE: f64 = 96.0;
const MOST_GROWTH: f64 = 16.0;

/// What is asked for.
struct Bounds {
    /// How long callers wait for an answer. What they give up costs the service nothing any more, refusals included.
    patience: Duration,
    /// How much more than the capacity is asked of the service, and how many calls a second at least.
    times: f64,
    at_least: f64,
    /// Good answers, as a share of the capacity.
    goodput: f64,
    /// How long each answer of health may take.
    health: Duration,
    /// How long the service may take to be itself again.
    recovery: Duration,
    /// Whether its answers then have to be as fast as before.
    as_before: bool,
}

const STRICT: Bounds = Bounds {
    patience: service::WORTH,
    times: 3.0,
    at_least: 0.0,
    goodput: 0.8,
    health: Duration::from_millis(100),
    recovery: Duration::from_secs(5),
    as_before: true,
};
/// Far more than the service takes on at once (512 calls), whatever capacity was measured while others had the machine.
const LOOSE: Bounds = Bounds {
    patience: PATIENCE,
    times: 10.0,
    at_least: 2_000.0,
    goodput: 0.0,
    health: PATIENCE,
    recovery: PATIENCE,
    as_before: false,
};

#[test]
fn overload_costs_little_and_leaves_nothing_behind() {
    let seconds = length::rounds().map_or(SHORT, |rounds| u64::from(rounds) * 6 / 10).max(SHORT);
    let bounds = if seconds >= LONG { STRICT } else { LOOSE };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _exclusive = runtime.block_on(length::exclusive());
    let shares = cpus::divide();
    println!("overload: {shares}");
    let service = Service::start(&shares);
    shares.take_callers();
    // One thread makes the calls, another asks for health: neither waits for the other.
    runtime.block_on(run(&service, seconds, &bounds));
}

async fn run(service: &Service, seconds: u64, bounds: &Bounds) {
    let mix = Mix::prepare(service).await;
    let lasting = Duration::from_secs(seconds);
    let measuring = (lasting / 6).clamp(Duration::from_secs(3), Duration::from_secs(10));
    let load = Load::new(service, mix, bounds.patience);
    load.closed(measuring / 2).await;
    let usual = load.alone(Duration::from_secs(2)).await;
    let before = load.closed(measuring).await;
    let busy = Memory::of(service);
    println!(
        "overload: one caller alone waits {usual:.1?}; capacity {:.0}/s ({before})",
        before.per_second()
    );

    let health = Health::watch(service);
    let memory = Memory::watch(service);
    let spent = cpu_time();
    let begun = Instant::now();
    let rate = (before.per_second() * bounds.times).max(bounds.at_least);
    let over = load.open(rate, lasting).await;
    let share = cpu_time().saturating_sub(spent).as_secs_f64() / begun.elapsed().as_secs_f64();
    let (health, memory) = (health.end(), memory.end());
    let wait = if bounds.as_before { usual * 2 } else { service::WORTH };
    let recovered = load.recovers(wait, bounds.recovery * 2).await;
    let after = load.closed(measuring).await;

    // Other processes use the machine too: its capacity during the overload is between those before and after.
    let capacity = f64::midpoint(before.per_second(), after.per_second());
    let goodput = over.per_second() / capacity;
    println!("overload: asked for {rate:.0}/s for {lasting:?}: {over}");
    println!(
        "overload: the callers took {:.0} % of a processor, up to {:.1?} late",
        share * 100.0,
        over.latest
    );
    println!(
        "overload: capacity afterwards {:.0}/s; goodput {:.0} % of the mean",
        after.per_second(),
        goodput * 100.0
    );
    println!("overload: health {health}");
    println!(
        "overload: memory {busy:.0} MiB when busy, {memory} during the overload; recovered after {recovered:?}"
    );

    assert!(over.refused > 0, "no overload: {over}");
    assert!(over.bare.is_none(), "a refusal without a reason or a time to come again: {:?}", over.bare);
    assert!(goodput >= bounds.goodput, "goodput is {goodput:.2} of the capacity");
    if seconds >= LONG {
        let offered = over.offered_share(rate, lasting);
        assert!(offered > 0.95, "only {offered:.2} of the load came: the callers are the bottleneck");
        assert_eq!(over.other, 0, "answers that are neither good nor a refusal: {:?}", over.others);
        assert_eq!(before.other + after.other, 0, "{:?} {:?}", before.others, after.others);
        assert!(memory.growth() <= MOST_GROWTH, "memory grows all the while: {memory}");
    }
    // A machine that others use may be so slow that the database keeps callers waiting; nothing else is an excuse.
    assert!(over.others.keys().all(|code| code == "Unavailable"), "{:?}", over.others);
    assert!(health.longest().is_some_and(|time| time <= bounds.health), "health: {health}");
    assert!(memory.most() <= busy + MOST_MORE, "memory: {memory}, from {busy:.0}");
    assert!(recovered.is_some_and(|time| time <= bounds.recovery), "not itself again: {recovered:?}");
    service.is_running();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what a service of ours never answers")]
fn the_tally_counts_what_came_in_time_and_sees_a_refusal_without_a_reason() {
    let mut tally = Tally::default();
    tally.note(Ok(()), Duration::from_millis(5));
    tally.note(Ok(()), Duration::from_secs(3));
    let refused = inkbox_imessage::error::Error::Overloaded { retry_after: Duration::from_millis(500) };
    tally.note(Err(inkbox_imessage::grpc::wire::status::from_error(&refused, "")), Duration::from_millis(1));
    tally.note(Err(Status::deadline_exceeded("")), Duration::from_secs(2));
    tally.note(Err(Status::internal("")), Duration::from_millis(1));
    tally.lasted = Duration::from_secs(1);
    assert_eq!((tally.good, tally.refused, tally.late, tally.other), (1, 1, 2, 1));
    assert!((tally.per_second() - 1.0).abs() < 1e-9);
    assert!(tally.bare.is_none(), "{:?}", tally.bare);
    tally.note(Err(Status::resource_exhausted("full")), Duration::from_millis(1));
    assert!(tally.bare.is_some());
}
