//! Tells readers of event logs that there is something new.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::event_log::LogHead;
use crate::domain::OrganizationId;

/// The numbers of the newest known events of the organizations whose logs are being read. Bounded by the number of readers.
#[derive(Debug, Default)]
pub struct EventHeads {
    by_organization: Mutex<HashMap<OrganizationId, watch::Sender<i64>>>,
    /// Told when the first reader comes.
    subscribed: Notify,
    /// Since when the logs cannot be read; `None` while they can.
    unreachable_since: Mutex<Option<Instant>>,
}

impl EventHeads {
    /// The number of the newest known event of an organization, and changes of it. 0 until one is known.
    #[must_use]
    pub fn subscribe(&self, organization_id: &OrganizationId) -> watch::Receiver<i64> {
        let mut heads = self.lock();
        let head = heads.entry(organization_id.clone()).or_insert_with(|| watch::Sender::new(0));
        let receiver = head.subscribe();
        drop(heads);
        self.subscribed.notify_one();
        receiver
    }

    /// The organizations that have readers.
    #[must_use]
    pub fn watched(&self) -> Vec<OrganizationId> {
        let mut heads = self.lock();
        heads.retain(|_, head| head.receiver_count() > 0);
        heads.keys().cloned().collect()
    }

    /// Returns when there may be an organization with readers.
    pub async fn until_watched(&self) {
        while self.lock().is_empty() {
            self.subscribed.notified().await;
        }
    }

    /// Records whether the logs could be read just now.
    pub fn reached(&self, could_read: bool) {
        let mut since = self.unreachable_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if could_read { None } else { since.or_else(|| Some(Instant::now())) };
    }

    /// For how long the logs could not be read.
    #[must_use]
    pub fn unreachable_for(&self) -> Duration {
        let since = *self.unreachable_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Wakes the readers of a log whose newest event has this number. Returns whether that was news to them.
    pub fn advance(&self, organization_id: &OrganizationId, last_sequence: i64) -> bool {
        self.lock().get(organization_id).is_some_and(|head| {
            head.send_if_modified(|known| {
                let is_new = last_sequence > *known;
                *known = last_sequence.max(*known);
                is_new
            })
        })
    }

    pub(super) fn advance_all(&self, heads: &[LogHead]) {
        for head in heads {
            self.advance(&head.organization_id, head.last_sequence);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, watch::Sender<i64>>> {
        self.by_organization.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shared by the sessions, which tell of commits, and the readers.
pub(super) type SharedHeads = Arc<EventHeads>;
