//! What every test stands on: the assembled server on a real PostgreSQL, typed callers, a human with a phone,
//! builders of rows, and assertions on code and reason.
//!
//! Nothing here sleeps: tests wait for a condition, with a bound ([`eventually`]).
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses its own part of this")]

pub mod app;
pub mod assertions;
pub mod callers;
pub mod carrier;
pub mod clock;
pub mod cluster;
pub mod database;
pub mod history;
pub mod http;
pub mod human;
pub mod invariants;
pub mod locks;
pub mod metrics;
pub mod phone_line;
pub mod program;
pub mod proxy;
pub mod raw;
pub mod rows;
pub mod servers;
pub mod snapshot;

pub use app::TestApp;
pub use assertions::{assert_fields, assert_reason};
pub use human::Human;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The longest that a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The most that one look counts of that: what takes longer is a machine that was suspended, which waits for nothing.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Waits until `condition` gives a value, looking again and again; fails the test when it does not within [`PATIENCE`].
#[track_caller]
pub fn eventually<T, F>(what: &str, mut condition: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
{
    let what = what.to_owned();
    let caller = std::panic::Location::caller();
    async move {
        let mut waited = Duration::ZERO;
        loop {
            let looked = Instant::now();
            if let Some(value) = condition().await {
                return value;
            }
            assert!(waited < PATIENCE, "{caller}: waited {PATIENCE:?} in vain until {what}");
            sleep(Duration::from_millis(10)).await;
            waited += looked.elapsed().min(LONGEST_LOOK);
        }
    }
}
