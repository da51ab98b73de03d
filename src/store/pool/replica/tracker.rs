//! Which organizations have written recently.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::OrganizationId;
use crate::store::pool::affects::{Affects, SLOTS, slot};

/// Numbers the writes of this process and remembers the last write of each organization (32 KiB in all).
pub(in crate::store::pool) struct WriteTracker {
    slots: Box<[AtomicU64]>,
    /// The last write that may have changed any organization.
    any: AtomicU64,
    latest: AtomicU64,
}

impl Default for WriteTracker {
    fn default() -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(SLOTS).collect();
        Self { slots, any: AtomicU64::default(), latest: AtomicU64::default() }
    }
}

impl WriteTracker {
    /// The number of the newest write. Every write with a lower number ended before.
    pub(super) fn latest(&self) -> u64 {
        self.latest.load(Ordering::SeqCst)
    }

    /// The number of the write that the replica must show before this organization may read from it.
    pub(super) fn last_write_of(&self, organization_id: &OrganizationId) -> u64 {
        let own = self.slots[slot(organization_id)].load(Ordering::SeqCst);
        own.max(self.any.load(Ordering::SeqCst))
    }

    /// Numbers a write that has ended: committed, rolled back or given up. Must run before its caller gets the answer.
    pub(in crate::store::pool) fn record(&self, affects: &Affects) {
        let marks: &mut dyn Iterator<Item = &AtomicU64> = match affects {
            Affects::None => return,
            Affects::All => &mut std::iter::once(&self.any),
            Affects::Named(slots) => &mut slots.iter().map(|slot| &self.slots[*slot]),
        };
        let number = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
        for mark in marks {
            mark.fetch_max(number, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WriteTracker;
    use crate::store::pool::affects::Affects;

    #[test]
    fn a_write_marks_its_organization_and_one_of_unknown_owner_marks_all() {
        let tracker = WriteTracker::default();
        let (a, b) = ("org_a".into(), "org_b".into());
        let last = || (tracker.last_write_of(&a), tracker.last_write_of(&b), tracker.latest());
        tracker.record(&Affects::None);
        assert_eq!(last(), (0, 0, 0));
        tracker.record(&Affects::organization(&a));
        assert_eq!(last(), (1, 0, 1));
        let mut named = Affects::named();
        named.add(&b);
        tracker.record(&named);
        assert_eq!(last(), (1, 2, 2));
        tracker.record(&Affects::All);
        assert_eq!(last(), (3, 3, 3));
    }
}
