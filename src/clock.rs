//! Where times and ids come from. Ambient clocks are banned in `clippy.toml`, so that a test can own time.

use chrono::{DateTime, SubsecRound as _, Utc};
use uuid::Uuid;

/// A source of times and of time-ordered ids.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now, in whole microseconds, which is what PostgreSQL keeps: a time that was stored reads back equal.
    fn now(&self) -> DateTime<Utc>;

    /// A fresh version 7 uuid: ids made later by this process sort later.
    fn new_id(&self) -> Uuid;
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
