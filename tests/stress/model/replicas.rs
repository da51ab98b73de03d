//! Two replicas of the service on one database, at one time of day, that are called in turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::TestApp;
use crate::support::callers::Caller;

pub struct Replicas {
    pub first: TestApp,
    second: TestApp,
}

impl Replicas {
    pub async fn start() -> Self {
        let first = TestApp::start().await;
        let second = first.replica_sharing_clock().await;
        Self { first, second }
    }

    /// A caller of the first, at both of them.
    pub fn both(&self, caller: Caller) -> InTurn {
        let other = Caller::new(self.second.channel(), caller.secret.clone());
        InTurn { callers: [caller, other], turn: AtomicUsize::default() }
    }
}

/// Someone whose every call goes to another replica than the one before it.
pub struct InTurn {
    pub callers: [Caller; 2],
    turn: AtomicUsize,
}

impl InTurn {
    pub fn next(&self) -> &Caller {
        &self.callers[self.turn.fetch_add(1, Ordering::Relaxed) % self.callers.len()]
    }

    /// The same with another key.
    pub fn with_secret(&self, secret: &str) -> Self {
        let callers = self.callers.clone().map(|one| Caller::new(one.channel, Some(secret.to_owned())));
        Self { callers, turn: AtomicUsize::default() }
    }
}
