//! Which organizations have written lately.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::OrganizationId;
use crate::store::Affects;

/// How many marks there are, 32 KiB in all. Organizations that share one read from the primary a little more often than
/// they must; none ever reads too little, and nothing is ever evicted.
const SLOTS: usize = 4_096;

/// The number of the last write of each organization.
pub(crate) struct Marks {
    slots: Box<[AtomicU64]>,
    /// The last write of which it is not known whose it was.
    anyone: AtomicU64,
    latest: AtomicU64,
}

impl Default for Marks {
    fn default() -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(SLOTS).collect();
        Self { slots, anyone: AtomicU64::default(), latest: AtomicU64::default() }
    }
}

impl Marks {
    /// The number of the newest write. Every write with a lower number was done before.
    pub(crate) fn latest(&self) -> u64 {
        self.latest.load(Ordering::SeqCst)
    }

    /// The number that has to be covered before an organization may read from the standby.
    pub(crate) fn of(&self, organization_id: &OrganizationId) -> u64 {
        let own = self.slots[slot(organization_id)].load(Ordering::SeqCst);
        own.max(self.anyone.load(Ordering::SeqCst))
    }

    /// Numbers a write that is done (committed, rolled back or given up). Before its caller has the answer.
    pub(crate) fn wrote(&self, affects: &Affects) {
        let marks: &mut dyn Iterator<Item = &AtomicU64> = match affects {
            Affects::None => return,
            Affects::All => &mut std::iter::once(&self.anyone),
            Affects::Named(slots) => &mut slots.iter().map(|slot| &self.slots[*slot]),
        };
        let number = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
        for mark in marks {
            mark.fetch_max(number, Ordering::SeqCst);
        }
    }
}

pub(in crate::store) fn slot(organization_id: &OrganizationId) -> usize {
    let mut hasher = DefaultHasher::new();
    organization_id.as_str().hash(&mut hasher);
    // Reduced first, so that it fits whatever a usize is.
    usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Marks;
    use crate::store::Affects;

    #[test]
    fn a_write_marks_its_organization_and_one_of_unknown_owner_marks_all() {
        let marks = Marks::default();
        let (a, b) = ("org_a".into(), "org_b".into());
        marks.wrote(&Affects::None);
        assert_eq!((marks.of(&a), marks.of(&b), marks.latest()), (0, 0, 0));
        marks.wrote(&Affects::organization(&a));
        assert_eq!((marks.of(&a), marks.of(&b), marks.latest()), (1, 0, 1));
        let mut named = Affects::named();
        named.add(&b);
        marks.wrote(&named);
        assert_eq!((marks.of(&a), marks.of(&b), marks.latest()), (1, 2, 2));
        marks.wrote(&Affects::All);
        assert_eq!((marks.of(&a), marks.of(&b), marks.latest()), (3, 3, 3));
    }
}
