//! Whether two sets of durations differ by more than chance.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// How often the pairs are dealt anew.
const DEALS: usize = 400;

/// What a comparison of two sets of durations, measured in pairs, came to. Microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// Median of the first less median of the second.
    pub medians: f64,
    /// The largest difference that came about by chance: over many deals, each of which gives the two durations of a
    /// pair to the two sets by the toss of a coin. A difference between the kinds is in none of them.
    pub noise: f64,
    /// The median of all.
    pub typical: f64,
}

impl Difference {
    pub fn of(pairs: &[(Duration, Duration)], seed: u64) -> Self {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (micros(*a), micros(*b))).collect();
        let difference = |dealt: &[(f64, f64)]| {
            let (a, b): (Vec<_>, Vec<_>) = dealt.iter().copied().unzip();
            median(a) - median(b)
        };
        let mut random = StdRng::seed_from_u64(seed);
        let mut noise = 0.0_f64;
        for _ in 0..DEALS {
            let dealt: Vec<_> =
                pairs.iter().map(|(a, b)| if random.random() { (*a, *b) } else { (*b, *a) }).collect();
            noise = noise.max(difference(&dealt).abs());
        }
        let all = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        Self { medians: difference(&pairs), noise, typical: median(all) }
    }

    /// Whether it is more than chance, and more than `least`, a share of what a call takes: below that, one process more
    /// on the machine moves the median further.
    pub fn is_real(&self, least: f64) -> bool {
        self.medians.abs() > self.noise && self.medians.abs() > least * self.typical
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    *median
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations around 2 ms with the long tail that calls have; the first of each pair is longer by `more`.
    fn pairs(count: usize, more: Duration) -> Vec<(Duration, Duration)> {
        let mut random = StdRng::seed_from_u64(7);
        let mut one = || {
            let tail = if random.random_range(0..10) == 0 { random.random_range(0..20_000) } else { 0 };
            Duration::from_micros(1_800 + random.random_range(0..400) + tail)
        };
        (0..count).map(|_| (one() + more, one())).collect()
    }

    #[test]
    fn chance_is_no_difference_and_a_twentieth_is_one() {
        for count in [60, 1_000] {
            assert!(!Difference::of(&pairs(count, Duration::ZERO), 1).is_real(0.0), "{count}");
        }
        let longer = Difference::of(&pairs(1_000, Duration::from_micros(100)), 1);
        assert!(longer.is_real(0.02) && longer.medians > 50.0, "{longer:?}");
        assert!(!longer.is_real(0.2), "less than what is asked for");
    }
}
