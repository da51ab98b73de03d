//! The number of rounds of a test, and its random decisions.

use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::length;

pub(crate) struct Schedule {
    name: &'static str,
    seed: u64,
    pub(crate) rounds: u32,
    begun: Instant,
}

impl Schedule {
    /// `rounds` is the length of the short form. Prints how to repeat the schedule.
    pub(crate) fn of(name: &'static str, rounds: u32) -> Self {
        let seed = length::seed();
        let rounds = length::rounds().unwrap_or(rounds);
        println!("{name}: INKBOX_STRESS_SEED={seed} INKBOX_STRESS_ROUNDS={rounds}");
        Self { name, seed, rounds, begun: Instant::now() }
    }

    /// The random numbers for one part of one round.
    pub(crate) fn chance(&self, round: u32, part: u64) -> StdRng {
        let name = self.name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let mixed = [self.seed, name, round.into(), part]
            .into_iter()
            .fold(0x9e37_79b9_7f4a_7c15, |mix: u64, next| {
                (mix ^ next).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
            });
        StdRng::seed_from_u64(mixed)
    }

    /// One of these. Over as many rounds as there are elements, each is picked once, in random order.
    pub(crate) fn pick<'a, T>(&self, round: u32, all: &'a [T]) -> &'a T {
        let many = u32::try_from(all.len()).unwrap();
        let mut order: Vec<_> = all.iter().collect();
        order.shuffle(&mut self.chance(round / many, 999));
        order[(round % many) as usize]
    }

    /// Prints the result of a round.
    pub(crate) fn report(&self, round: u32, what: &str) {
        println!("{} {}/{}: {what}; {:.0?} in all", self.name, round + 1, self.rounds, self.begun.elapsed());
    }
}
