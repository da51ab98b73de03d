//! How long a test is, and which of its courses it takes.

use std::str::FromStr;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// The seed and the number of rounds of a test.
pub(crate) struct Course {
    name: &'static str,
    seed: u64,
    pub(crate) rounds: u32,
    begun: Instant,
}

fn given<T: FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

impl Course {
    /// So many rounds, unless more or fewer are asked for. Prints how to take the same course again.
    pub(crate) fn of(name: &'static str, rounds: u32) -> Self {
        let seed = given("INKBOX_TORTURE_SEED").unwrap_or_else(rand::random);
        let rounds = given("INKBOX_TORTURE_ROUNDS").unwrap_or(rounds);
        assert!(rounds > 0, "INKBOX_TORTURE_ROUNDS must be 1 or more");
        println!("{name}: INKBOX_TORTURE_SEED={seed} INKBOX_TORTURE_ROUNDS={rounds}");
        Self { name, seed, rounds, begun: Instant::now() }
    }

    /// Chance for one part of one round.
    pub(crate) fn chance(&self, round: u32, part: u64) -> StdRng {
        let name = self.name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let mixed = [self.seed, name, round.into(), part]
            .into_iter()
            .fold(0x9e37_79b9_7f4a_7c15, |mix: u64, next| {
                (mix ^ next).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
            });
        StdRng::seed_from_u64(mixed)
    }

    /// One of these: each of them in as many rounds as there are, in some order.
    pub(crate) fn pick<'a, T>(&self, round: u32, all: &'a [T]) -> &'a T {
        let many = u32::try_from(all.len()).unwrap();
        let mut order: Vec<_> = all.iter().collect();
        order.shuffle(&mut self.chance(round / many, 999));
        order[(round % many) as usize]
    }

    /// Tells how a round ended.
    pub(crate) fn tell(&self, round: u32, what: &str) {
        println!("{} {}/{}: {what}; {:.0?} in all", self.name, round + 1, self.rounds, self.begun.elapsed());
    }
}
