//! The length and the seed of a run, and which tests need the machine for themselves.

use std::env;
use std::str::FromStr;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// The length of each test, if one is asked for. Each test says what one round is. Without it the short form runs.
pub fn rounds() -> Option<u32> {
    let rounds = variable("INKBOX_STRESS_ROUNDS");
    assert_ne!(rounds, Some(0), "INKBOX_STRESS_ROUNDS must be 1 or more");
    rounds
}

/// The seed of all random decisions; a random one unless it is given.
pub fn seed() -> u64 {
    variable("INKBOX_STRESS_SEED").unwrap_or_else(rand::random)
}

static MACHINE: RwLock<()> = RwLock::const_new(());

/// Held by a test that measures time, so that no other test of this binary runs at the same time.
pub async fn exclusive() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// Held by every test that puts the machine under load.
pub async fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}
