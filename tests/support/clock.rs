//! A clock that a test can move.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::clock::{Clock, SystemClock};
use uuid::Uuid;

/// Runs as the machine's clock does, ahead of it by as much as the test says; or stands still.
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
    /// Moves time on.
    pub fn advance(&self, by: TimeDelta) {
        let mut state = self.state.lock().unwrap();
        state.ahead += by;
        if let Some(frozen) = &mut state.frozen {
            *frozen += by;
        }
    }

    /// Makes the next one who asks for an id panic.
    pub fn panic_at_the_next_id(&self) {
        self.panics.store(true, Ordering::Relaxed);
    }

    /// Stops time at a moment.
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
        // As far ahead as the time is: an id says when it was made.
        let ahead = self.state.lock().unwrap().ahead.num_milliseconds();
        let ahead = u128::try_from(ahead).unwrap_or(0);
        Uuid::from_u128(SystemClock.new_id().as_u128() + (ahead << 80))
    }
}
