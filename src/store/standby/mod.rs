//! A streaming standby for lists and gets, and how far it can be trusted.
//!
//! Whoever wrote through this process reads what was written. For that, the process numbers its writes when they are
//! done and remembers, per organization, the number of the last. Every [`ROUND`] it notes the newest number, then
//! commits a beat (one row of its own) on the primary, then looks which beat has come through on the standby. The
//! standby applies commits in the order of the primary, so a beat that is visible there proves that every write noted
//! before it is visible, too: whatever the time lines, promotions or restarts in between, and without any function that
//! only some roles may call. An organization whose last write is not covered in this way reads from the primary.
//!
//! A beat that comes through also says how old the standby's state is at most; one that lags more than is allowed, or
//! whose state is not known for as long, is not read from at all. No call waits for any of this: it looks at what is known.

pub(super) mod marks;
mod watch;

use marks::Marks;
pub(super) use watch::{Watch, started_at};

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use tokio::time::Instant;

use crate::domain::OrganizationId;

/// How long a standby that failed is left alone: long enough that one which fails now and then costs few calls a second
/// attempt.
const SHUNNED: Duration = Duration::from_secs(5);

/// A standby, as it is configured.
#[derive(Debug, Clone)]
pub struct ReplicaSettings {
    /// How to reach it, without a pooler: which server answers has to be known.
    pub options: PgConnectOptions,
    /// The oldest state that may be shown. Only what was written through another process can be missing in it.
    pub longest_lag: Duration,
}

/// What is known of a standby.
pub(super) struct Standby {
    pub(super) marks: Marks,
    longest_lag: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which server was asked: the moment of its start, to the microsecond. A name may stand for several servers, or
    /// for another one since a moment ago.
    server: Option<DateTime<Utc>>,
    /// When its state begins to be too old to be shown, unless it is seen to move on.
    good_until: Option<Instant>,
    /// Every write up to this number is visible there.
    caught_up: u64,
    /// When it may be tried again after a failure.
    shunned_until: Option<Instant>,
    /// Whether the log says that it is read from; nothing was said at first.
    told: Option<bool>,
}

impl Standby {
    pub(super) fn new(longest_lag: Duration) -> Self {
        Self { marks: Marks::default(), longest_lag, state: Mutex::default() }
    }

    /// Whether it shows everything that this process wrote for an organization, and no state that is too old.
    pub(super) fn may_show(&self, organization_id: &OrganizationId) -> bool {
        let (good_until, caught_up) = self.with(|state| (state.good_until, state.caught_up));
        good_until.is_some_and(|until| Instant::now() < until) && self.marks.of(organization_id) <= caught_up
    }

    /// Leaves it alone for a while.
    pub(super) fn distrust(&self, cause: &dyn std::fmt::Display) {
        self.with(|state| {
            state.good_until = None;
            state.shunned_until = Some(Instant::now() + SHUNNED);
            if state.told.replace(false) != Some(false) {
                tracing::warn!(error = %cause, "lists and gets are read from the primary: the standby failed");
            }
        });
    }

    /// Takes in that a beat has come through: one that was sent at this time, after every write up to this number.
    fn shows(&self, write: u64, sent_at: Instant) {
        let (now, good_until) = (Instant::now(), sent_at + self.longest_lag);
        self.with(|state| {
            state.caught_up = write;
            if state.shunned_until.is_some_and(|until| now < until) {
                return;
            }
            let is_good = now < good_until;
            state.good_until = is_good.then_some(good_until);
            match (is_good, state.told.replace(is_good)) {
                (true, None | Some(false)) => tracing::info!("lists and gets are read from the standby"),
                (false, None | Some(true)) => {
                    tracing::warn!("lists and gets are read from the primary: the standby lags");
                }
                _ => {}
            }
        });
    }

    /// Whether a server that was connected to is the one that is watched.
    pub(super) fn is_watched(&self, server: DateTime<Utc>) -> bool {
        self.with(|state| state.server == Some(server))
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
