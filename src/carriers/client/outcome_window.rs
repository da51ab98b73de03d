//! The outcomes of recent calls, and whether they show that a carrier is down.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::admission::Consumer;

/// The time in which outcomes count, and the part of it that is forgotten at once.
const WINDOW: Duration = Duration::from_secs(30);
const BUCKET: Duration = Duration::from_secs(3);

/// Whose calls fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Everyone,
    /// One consumer, the only one who called. Whether others would fail is not known.
    Only(Consumer),
}

impl Scope {
    pub(super) fn includes(&self, consumer: &Consumer) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(only) => only == consumer,
        }
    }
}

/// Outcomes by consumer, in buckets. Its size is bounded by the consumers that called within the window.
#[derive(Debug, Default)]
pub(super) struct OutcomeWindow {
    /// Oldest first, at most 10 and the current one.
    buckets: VecDeque<(Instant, HashMap<Consumer, Tally>)>,
    /// The sum of the buckets, without consumers that have no outcomes.
    totals: HashMap<Consumer, Tally>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    successes: usize,
    failures: usize,
}

impl Tally {
    const fn calls(self) -> usize {
        self.successes + self.failures
    }

    const fn count(&mut self, success: bool) {
        if success {
            self.successes += 1;
        } else {
            self.failures += 1;
        }
    }
}

impl OutcomeWindow {
    pub(super) fn record(&mut self, consumer: &Consumer, success: bool, now: Instant) {
        self.forget_old(now);
        if self.buckets.back().is_none_or(|(start, _)| now.duration_since(*start) >= BUCKET) {
            self.buckets.push_back((now, HashMap::new()));
        }
        if let Some((_, bucket)) = self.buckets.back_mut() {
            bucket.entry(consumer.clone()).or_default().count(success);
            self.totals.entry(consumer.clone()).or_default().count(success);
        }
    }

    /// Whose calls fail, according to at least `min_calls` outcomes of which at least half are failures.
    ///
    /// It takes at least two consumers whose own calls mostly fail, and at least half of all consumers, to conclude that
    /// everyone's calls fail: the cause may be in what one of them sends.
    pub(super) fn failing(&self, min_calls: usize) -> Option<Scope> {
        let calls: usize = self.totals.values().map(|tally| tally.calls()).sum();
        let failures: usize = self.totals.values().map(|tally| tally.failures).sum();
        if calls < min_calls || 2 * failures < calls {
            return None;
        }
        if let (1, Some(only)) = (self.totals.len(), self.totals.keys().next()) {
            return Some(Scope::Only(only.clone()));
        }
        let failing = self.totals.values().filter(|tally| tally.failures > tally.successes).count();
        (failing >= 2 && 2 * failing >= self.totals.len()).then_some(Scope::Everyone)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((_, old)) =
            self.buckets.pop_front_if(|(start, _)| now.duration_since(*start) >= WINDOW)
        {
            for (consumer, tally) in old {
                let Some(total) = self.totals.get_mut(&consumer) else { continue };
                total.successes -= tally.successes;
                total.failures -= tally.failures;
                if total.calls() == 0 {
                    self.totals.remove(&consumer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{BUCKET, OutcomeWindow, Scope, WINDOW};
    use crate::admission::Consumer;

    const MIN_CALLS: usize = 10;

    fn organization(name: &str) -> Consumer {
        Consumer::Organization(name.into())
    }

    /// What a window concludes from the successes and failures of organizations.
    fn failing(outcomes: &[(&str, usize, usize)]) -> Option<Scope> {
        let mut window = OutcomeWindow::default();
        let now = Instant::now();
        for (name, successes, failures) in outcomes {
            (0..*successes).for_each(|_| window.record(&organization(name), true, now));
            (0..*failures).for_each(|_| window.record(&organization(name), false, now));
        }
        window.failing(MIN_CALLS)
    }

    #[test]
    fn everyone_fails_if_half_of_the_calls_and_half_of_at_least_two_consumers_do() {
        let everyone = Some(Scope::Everyone);
        assert_eq!(failing(&[("a", 0, 9), ("b", 0, 1)]), everyone);
        assert_eq!(failing(&[("a", 2, 3), ("b", 3, 4), ("c", 0, 1)]), everyone);
        assert_eq!(failing(&[("a", 0, 5), ("b", 0, 4)]), None, "too few calls");
        assert_eq!(failing(&[("a", 0, 50), ("b", 2, 0)]), None, "only one of them");
        assert_eq!(failing(&[("a", 0, 50), ("b", 5, 5)]), None, "only one of them mostly");
        assert_eq!(failing(&[("a", 0, 9), ("b", 0, 9), ("c", 30, 0)]), None, "most calls succeed");
        let many = [("a", 0, 9), ("b", 0, 9), ("c", 1, 0), ("d", 1, 0), ("e", 1, 0)];
        assert_eq!(failing(&many), None, "most consumers succeed");
    }

    #[test]
    fn a_consumer_without_others_fails_alone() {
        let only = Some(Scope::Only(organization("a")));
        assert_eq!(failing(&[("a", 5, 5)]), only);
        assert_eq!(failing(&[("a", 6, 5)]), None, "most calls succeed");
        assert_eq!(failing(&[("a", 0, 9)]), None, "too few calls");
        assert_eq!(failing(&[]), None);
    }

    #[test]
    fn outcomes_are_forgotten_after_the_window() {
        let (mut window, start, a) = (OutcomeWindow::default(), Instant::now(), organization("a"));
        for _ in 0..MIN_CALLS {
            window.record(&a, false, start);
        }
        window.record(&a, false, start + BUCKET);
        assert!(window.failing(MIN_CALLS).is_some());
        window.record(&a, false, start + WINDOW);
        assert_eq!(window.failing(MIN_CALLS), None);
        assert_eq!(window.totals.values().map(|tally| tally.calls()).sum::<usize>(), 2);
        window.record(&organization("b"), true, start + 3 * WINDOW);
        assert_eq!((window.buckets.len(), window.totals.len()), (1, 1), "nothing of the first is kept");
    }
}
