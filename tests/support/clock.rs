//! A clock that a test controls.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::clock::{Clock, SystemClock};
use uuid::Uuid;

/// Runs ahead of the system clock by a settable offset, or is stopped.
#[derive(Debug, Default)]
pub struct TestClock {
    state: Mutex<State>,
    panics: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    ahead: TimeDelta,
    frozen: Option<DateTime<Utc>>,
}

impl TestClock {
    /// Advances the clock.
    pub fn advance(&self, by: TimeDelta) {
        let mut state = self.state.lock().unwrap();
        state.ahead += by;
        if let Some(frozen) = &mut state.frozen {
            *frozen += by;
        }
    }

    /// Makes the next call for a new id panic.
    pub fn panic_at_the_next_id(&self) {
        self.panics.store(true, Ordering::Relaxed);
    }

    /// Stops the clock at this time.
    pub fn freeze(&self, at: DateTime<Utc>) {
        self.state.lock().unwrap().frozen = Some(at);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let state = self.state.lock().unwrap();
        state.frozen.unwrap_or_else(|| SystemClock.now() + state.ahead)
    }

    fn new_id(&self) -> Uuid {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "as the test asked");
        // A UUIDv7 contains its time, so it needs the same offset.
        let ahead = self.state.lock().unwrap().ahead.num_milliseconds();
        let ahead = u128::try_from(ahead).unwrap_or(0);
        Uuid::from_u128(SystemClock.new_id().as_u128() + (ahead << 80))
    }
}
