//! Where times and ids come from. Ambient clocks are banned in `clippy.toml`, so that a test can own time.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use uuid::Uuid;

/// A source of times and of time-ordered ids.
pub trait Clock: Send + Sync + Debug {
    /// Now, in whole microseconds, which is what PostgreSQL keeps: a time that was stored reads back equal.
    fn now(&self) -> DateTime<Utc>;

    /// A fresh version 7 uuid: ids made later by this process sort later.
    fn new_id(&self) -> Uuid;

    /// Compares the clock of the machine with the database's, which says that it is `database` now. Returns how far the
    /// machine is ahead.
    fn compare(&self, database: DateTime<Utc>) -> TimeDelta {
        self.now() - database
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn new_id(&self) -> Uuid {
        (**self).new_id()
    }

    fn compare(&self, database: DateTime<Utc>) -> TimeDelta {
        (**self).compare(database)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// How far the clocks of a machine and of the database may differ before the machine's is corrected. Less is usual between
/// machines that follow a time server, and orders no messages wrongly that people would notice.
pub const TOLERATED_SKEW: TimeDelta = TimeDelta::seconds(2);
/// Corrections that differ by less are the same: the difference is the time that the comparison took.
const RESOLUTION: TimeDelta = TimeDelta::seconds(1);

/// A machine's clock, corrected to the database's where the two differ by more than [`TOLERATED_SKEW`]. A wrong clock on one
/// replica would otherwise put its messages in the wrong place, and delete what is too old by its own time only.
#[derive(Debug)]
pub struct DatabaseClock<C> {
    machine: C,
    /// Microseconds to add to the machine's time.
    correction: AtomicI64,
}

impl<C: Clock> DatabaseClock<C> {
    /// Not corrected until the first comparison.
    pub const fn new(machine: C) -> Self {
        Self { machine, correction: AtomicI64::new(0) }
    }

    fn correction(&self) -> TimeDelta {
        TimeDelta::microseconds(self.correction.load(Ordering::Relaxed))
    }
}

impl<C: Clock> Clock for DatabaseClock<C> {
    fn now(&self) -> DateTime<Utc> {
        let now = self.machine.now();
        now.checked_add_signed(self.correction()).unwrap_or(now)
    }

    /// The first 48 bits of a version 7 uuid are milliseconds.
    fn new_id(&self) -> Uuid {
        let milliseconds = i128::from(self.correction().num_milliseconds());
        Uuid::from_u128(self.machine.new_id().as_u128().wrapping_add_signed(milliseconds << 80))
    }

    fn compare(&self, database: DateTime<Utc>) -> TimeDelta {
        let skew = self.machine.now() - database;
        let wanted = if skew.abs() > TOLERATED_SKEW { -skew } else { TimeDelta::zero() };
        let is_new = (wanted - self.correction()).abs() > RESOLUTION;
        if let Some(microseconds) = wanted.num_microseconds().filter(|_| is_new || wanted.is_zero()) {
            self.correction.store(microseconds, Ordering::Relaxed);
        }
        skew
    }
}

/// How far the machine's clock was ahead of the database's when they were last compared. Cheap to clone; all clones share
/// the value.
#[derive(Debug, Clone, Default)]
pub struct ClockSkew(Arc<AtomicI64>);

impl ClockSkew {
    /// Records a comparison.
    pub fn record(&self, skew: TimeDelta) {
        self.0.store(skew.num_microseconds().unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// The last one; zero before the first.
    #[must_use]
    pub fn get(&self) -> TimeDelta {
        TimeDelta::microseconds(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug)]
    struct Machine(Mutex<DateTime<Utc>>);

    impl Clock for Machine {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }

        fn new_id(&self) -> Uuid {
            let milliseconds = u128::try_from(self.now().timestamp_millis()).unwrap();
            Uuid::from_u128((milliseconds << 80) | 0x7000_8000_0000_0000_0001)
        }
    }

    fn at(id: Uuid) -> i64 {
        i64::try_from(id.as_u128() >> 80).unwrap()
    }

    #[test]
    fn a_clock_that_differs_by_more_than_two_seconds_follows_the_database() {
        let database = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for (ahead, corrected) in [
            (TimeDelta::milliseconds(1_900), false),
            (TimeDelta::milliseconds(-1_900), false),
            (TimeDelta::days(40), true),
            (TimeDelta::hours(-2), true),
        ] {
            let clock = DatabaseClock::new(Machine(Mutex::new(database + ahead)));
            assert_eq!(clock.now(), database + ahead, "before the first comparison");
            assert_eq!(clock.compare(database), ahead);
            let expected = if corrected { database } else { database + ahead };
            assert_eq!(clock.now(), expected, "{ahead}");
            assert_eq!(at(clock.new_id()), expected.timestamp_millis());
            assert_eq!(clock.new_id().get_version_num(), 7);
            // Set right, the machine's own time counts again.
            *clock.machine.0.lock().unwrap() = database;
            assert_eq!(clock.compare(database), TimeDelta::zero());
            assert_eq!(clock.now(), database);
        }
    }

    #[test]
    fn slow_comparisons_move_no_clock() {
        let database = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = DatabaseClock::new(Machine(Mutex::new(database + TimeDelta::hours(1))));
        clock.compare(database);
        clock.compare(database - TimeDelta::milliseconds(900));
        assert_eq!(clock.now(), database);
        clock.compare(database - TimeDelta::milliseconds(1_100));
        assert_eq!(clock.now(), database - TimeDelta::milliseconds(1_100));
    }

    #[test]
    fn times_out_of_range_are_no_panic() {
        let clock = DatabaseClock::new(Machine(Mutex::new(DateTime::from_timestamp(0, 0).unwrap())));
        for database in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
            clock.compare(database);
            let _ = (clock.now(), clock.new_id());
        }
    }
}
