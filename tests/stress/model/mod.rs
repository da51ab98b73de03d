//! Comparison with a model: random sequences of all actions of humans, agents, admins and carriers run against two
//! replicas of the service, alternating between them, and against an in-memory model ([`state`]). After every step all lists
//! and gets are compared ([`compare`]), and each list that is being paged through is read one page further ([`walks`]).
//!
//! A failure prints the seed, which repeats the run, and the shortest failing sequence that was found. A round is 100 steps.

mod agent_steps;
mod compare;
mod events;
mod expect;
mod human_steps;
mod keys;
mod replicas;
mod state;
mod step;
mod walks;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use tokio::runtime::Builder;

use crate::length;
use crate::model::replicas::Replicas;
use crate::model::world::World;

/// The number of a human to whom every carrier call fails.
const FAILING_HUMAN: &str = "+15005550001";
/// Rounds of the short form, and steps per round.
const ROUNDS: u32 = 8;
const STEPS_PER_ROUND: u32 = 100;
/// Concurrent drivers. Each has its own replicas and database, because one driver does not saturate two processors.
const DRIVERS: u32 = 2;
/// Steps of a sequence.
const STEPS: std::ops::RangeInclusive<usize> = 50..=55;
/// After this many steps the events are added up.
const EVENTS_EVERY: usize = 10;
/// Sequences that share a database. All of them contain the failing human's number, which accumulates history in each
/// organization that it reached.
const CASES_PER_DATABASE: u32 = 20;
/// Bounds of the search for a shorter failing sequence.
const MAX_SHRINK_ITERS: u32 = 300;
const MAX_SHRINK_MILLISECONDS: u32 = 120_000;

#[test]
fn lists_and_gets_equal_those_of_a_plain_model_after_every_step() {
    let seed = length::seed();
    let least_steps = length::rounds().unwrap_or(ROUNDS) * STEPS_PER_ROUND;
    let cases = least_steps.div_ceil(u32::try_from(*STEPS.start()).unwrap() * DRIVERS);
    println!("model: INKBOX_STRESS_SEED={seed}");
    let _shared = Builder::new_current_thread().build().unwrap().block_on(length::shared());
    let begun = Instant::now();
    let driven = std::thread::scope(|scope| {
        let drivers: Vec<_> =
            (0..DRIVERS).map(|n| scope.spawn(move || drive(seed.wrapping_add(n.into()), cases))).collect();
        drivers.into_iter().map(|driver| driver.join().unwrap()).sum::<usize>()
    });
    println!("model: {driven} steps, {:.1?}", begun.elapsed());
    assert!(driven >= least_steps as usize, "{driven} steps are fewer than {least_steps}");
}

/// Runs this many sequences and returns how many steps they had.
fn drive(seed: u64, cases: u32) -> usize {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let (driven, begun) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Empty while a sequence runs, so that the one after a failure starts on a fresh database.
    let idle: Mutex<Option<(Replicas, u32)>> = Mutex::new(None);

    let sequences = proptest::collection::vec(step::step(), STEPS);
    let outcome = TestRunner::new(config(seed, cases)).run(&sequences, |steps| {
        let case = begun.fetch_add(1, Ordering::Relaxed);
        let reused = idle.lock().unwrap().take().filter(|(_, age)| *age < CASES_PER_DATABASE);
        let (replicas, age) = reused.unwrap_or_else(|| (runtime.block_on(Replicas::start()), 0));
        runtime.block_on(async {
            let mut world = World::new(&replicas, case).await;
            for (number, step) in steps.iter().enumerate() {
                world.clock.advance(chrono::TimeDelta::microseconds(step.after));
                world.model.now += step.after;
                let touched = world.perform(&step.action).await;
                compare::everything(&world, touched, number, &step.action).await;
                walks::go_on(&mut world, number).await;
                if number.is_multiple_of(EVENTS_EVERY) {
                    events::add_up(&world).await;
                }
                driven.fetch_add(1, Ordering::Relaxed);
            }
            events::add_up(&world).await;
            world.leave().await;
        });
        *idle.lock().unwrap() = Some((replicas, age + 1));
        Ok(())
    });
    match outcome {
        Ok(()) => driven.into_inner(),
        Err(TestError::Fail(reason, steps)) => {
            panic!("{reason}\nwith these {} steps: {steps:#?}", steps.len())
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn config(seed: u64, cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: MAX_SHRINK_ITERS,
        max_shrink_time: MAX_SHRINK_MILLISECONDS,
        ..Config::default()
    }
}
