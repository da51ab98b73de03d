//! Shared by all tests: the assembled server on a real PostgreSQL, typed clients, a human who texts, row builders, and
//! assertions on codes and reasons.
//!
//! Tests do not sleep: they wait for a condition, with a time limit ([`eventually`]).
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
pub mod http2;
pub mod human;
pub mod invariants;
pub mod locks;
pub mod metrics;
pub mod phone_line;
pub mod program;
pub mod proxy;
pub mod raw;
pub mod rows;
pub mod scene;
pub mod servers;
pub mod snapshot;
pub mod watcher;

pub use app::TestApp;
pub use assertions::{assert_fields, assert_reason};
pub use human::Human;
pub use scene::Scene;
pub use watcher::Watcher;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The time limit of [`eventually`] and of calls.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The maximum that one check of the condition adds to the time waited. A longer check means that the machine was suspended.
const MAX_CHECK: Duration = Duration::from_secs(5);

/// Polls `condition` until it returns a value. Fails the test after [`PATIENCE`].
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
            let checked = Instant::now();
            if let Some(value) = condition().await {
                return value;
            }
            assert!(waited < PATIENCE, "{caller}: timed out after {PATIENCE:?}, waiting until {what}");
            sleep(Duration::from_millis(10)).await;
            waited += checked.elapsed().min(MAX_CHECK);
        }
    }
}
