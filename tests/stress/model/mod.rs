//! Random sequences of everything that humans, agents, admins and carriers do, driven through the generated client
//! against two replicas of the assembled server, in turn, and against a plain in-memory model ([`model`]). After every
//! step every list and get is compared ([`compare`]), and lists that are being read page by page go on ([`walks`]).
//!
//! A run that fails prints its seed; `PROPTEST_RNG_SEED=<seed> cargo test --test model` repeats it, and
//! `PROPTEST_CASES=<n>` drives more than the usual number of sequences.

mod agent_steps;
mod compare;
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

use crate::model::replicas::Replicas;
use crate::model::world::World;

/// The number of a human on whose phone nothing ever works.
const FAILING_HUMAN: &str = "+15005550001";
/// Drivers side by side, sequences of each, and steps in each of those.
const DRIVERS: u64 = 2;
const CASES: u32 = 100;
const STEPS: std::ops::RangeInclusive<usize> = 50..=55;
/// The least that a run has to drive.
const LEAST_STEPS: usize = 10_000;
/// Sequences on one database. The failing human's number is in all of them, and leaves traces of each organization that
/// it reached.
const CASES_ON_ONE_DATABASE: u32 = 20;
/// Bounds of the search for a shorter sequence that fails as well.
const MAX_SHRINK_ITERS: u32 = 300;
const MAX_SHRINK_MILLISECONDS: u32 = 120_000;

#[test]
fn lists_and_gets_equal_those_of_a_plain_model_after_every_step() {
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => rand::random(),
    };
    println!("model: PROPTEST_RNG_SEED={seed}");
    let begun = Instant::now();
    // Each on a service and database of its own, since one alone keeps no processor busy.
    let driven = std::thread::scope(|scope| {
        let drivers: Vec<_> = (0..DRIVERS).map(|n| scope.spawn(move || drive(seed, n))).collect();
        drivers.into_iter().map(|driver| driver.join().unwrap()).sum::<usize>()
    });
    println!("model: {driven} steps, {:.1?}", begun.elapsed());
    assert!(driven >= LEAST_STEPS, "{driven} steps are fewer than {LEAST_STEPS}");
}

/// Drives the share of one driver, and gives how many steps that were.
fn drive(seed: u64, driver: u64) -> usize {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let (driven, cases) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Gone while a sequence runs, so that the one after a failure starts on a fresh database.
    let resting: Mutex<Option<(Replicas, u32)>> = Mutex::new(None);

    let sequences = proptest::collection::vec(step::step(), STEPS);
    let outcome = TestRunner::new(config(seed.wrapping_add(driver))).run(&sequences, |steps| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        let rested = resting.lock().unwrap().take().filter(|(_, age)| *age < CASES_ON_ONE_DATABASE);
        let (replicas, age) = rested.unwrap_or_else(|| (runtime.block_on(Replicas::start()), 0));
        runtime.block_on(async {
            let mut world = World::new(&replicas, case).await;
            for (number, step) in steps.iter().enumerate() {
                world.clock.advance(chrono::TimeDelta::microseconds(step.after));
                world.model.now += step.after;
                let touched = world.perform(&step.action).await;
                compare::everything(&world, touched, number, &step.action).await;
                walks::go_on(&mut world, number).await;
                driven.fetch_add(1, Ordering::Relaxed);
            }
            world.leave().await;
        });
        *resting.lock().unwrap() = Some((replicas, age + 1));
        Ok(())
    });
    match outcome {
        Ok(()) => driven.into_inner(),
        Err(TestError::Fail(reason, steps)) => {
            panic!("PROPTEST_RNG_SEED={seed}: {reason}\nwith these {} steps: {steps:#?}", steps.len())
        }
        Err(TestError::Abort(reason)) => panic!("PROPTEST_RNG_SEED={seed}: {reason}"),
    }
}

/// A driver's share of the usual number of sequences, or more.
fn config(seed: u64) -> Config {
    let environment = Config::default();
    let is_given = std::env::var_os("PROPTEST_CASES").is_some();
    Config {
        cases: if is_given { environment.cases.max(CASES) } else { CASES },
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: MAX_SHRINK_ITERS,
        max_shrink_time: MAX_SHRINK_MILLISECONDS,
        ..environment
    }
}
