//! What is known of the replica, and whether it can serve a read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::tracker::WriteTracker;
use crate::domain::OrganizationId;

/// How long a replica that failed serves no reads. Long enough that one which fails now and then costs few calls a second
/// attempt.
const FAILURE_COOLDOWN: Duration = Duration::from_secs(5);

pub(in crate::store::pool) struct Replica {
    pub(super) writes: Arc<WriteTracker>,
    max_lag: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The server that was asked, identified by the moment of its start (in microseconds): a host name may stand for
    /// several servers, or may have moved to another one.
    server: Option<DateTime<Utc>>,
    /// When its state becomes too old to be shown, unless a newer heartbeat arrives.
    good_until: Option<Instant>,
    /// Every write up to this number is visible there.
    caught_up: u64,
    cooldown_until: Option<Instant>,
    /// Whether the log last reported it as usable.
    last_reported: Option<bool>,
}

impl Replica {
    pub(super) fn new(max_lag: Duration, writes: Arc<WriteTracker>) -> Self {
        Self { writes, max_lag, state: Mutex::default() }
    }

    /// Whether it shows everything that this process wrote for an organization, and is not too old.
    pub(super) fn can_serve(&self, organization_id: &OrganizationId) -> bool {
        let (good_until, caught_up) = self.with(|state| (state.good_until, state.caught_up));
        good_until.is_some_and(|until| Instant::now() < until)
            && self.writes.last_write_of(organization_id) <= caught_up
    }

    /// Serves no reads for [`FAILURE_COOLDOWN`].
    pub(super) fn fail(&self, cause: &dyn std::fmt::Display) {
        self.with(|state| {
            state.good_until = None;
            state.cooldown_until = Some(Instant::now() + FAILURE_COOLDOWN);
            if state.last_reported.replace(false) != Some(false) {
                tracing::warn!(error = %cause, "lists and gets are read from the primary: the replica failed");
            }
        });
    }

    /// Records that a heartbeat is visible: one that was sent at `sent_at`, after every write up to `write`.
    pub(super) fn record_heartbeat(&self, write: u64, sent_at: Instant) {
        let (now, good_until) = (Instant::now(), sent_at + self.max_lag);
        self.with(|state| {
            state.caught_up = write;
            if state.cooldown_until.is_some_and(|until| now < until) {
                return;
            }
            let is_good = now < good_until;
            state.good_until = is_good.then_some(good_until);
            match (is_good, state.last_reported.replace(is_good)) {
                (true, None | Some(false)) => tracing::info!("lists and gets are read from the replica"),
                (false, None | Some(true)) => {
                    tracing::warn!("lists and gets are read from the primary: the replica lags");
                }
                _ => {}
            }
        });
    }

    /// Records which server answers now. Nothing is known of its state yet.
    pub(super) fn observe_server(&self, started_at: DateTime<Utc>) {
        self.with(|state| {
            state.server = Some(started_at);
            state.good_until = None;
        });
    }

    /// Whether a server that was connected to is the one whose heartbeats are observed.
    pub(in crate::store::pool) fn is_observed(&self, started_at: DateTime<Utc>) -> bool {
        self.with(|state| state.server == Some(started_at))
    }

    fn with<T>(&self, access: impl FnOnce(&mut State) -> T) -> T {
        access(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
