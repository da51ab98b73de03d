//! What a piece of work changes, as its caller declares it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::domain::OrganizationId;

/// Number of slots that organizations hash to. Organizations that share a slot read from the primary slightly more often
/// than they must, but never read stale rows, and nothing is ever evicted.
pub(super) const SLOTS: usize = 4_096;

/// The organizations whose lists and gets show what a piece of work changes. They read from the primary until the
/// replica is known to have the change.
#[derive(Debug, Clone)]
pub enum Affects {
    /// Nothing that a list or get shows: the work only reads, or changes internal tables.
    None,
    /// Rows of any organization: every organization reads from the primary for a while.
    All,
    /// Rows of the organizations that hash to these slots.
    Named(Vec<usize>),
}

impl Affects {
    #[must_use]
    pub fn organization(organization_id: &OrganizationId) -> Self {
        Self::Named(vec![slot(organization_id)])
    }

    /// For work that finds out while it runs which organizations it changes, and then calls
    /// `DbConnection::mark_affected`.
    #[must_use]
    pub const fn named() -> Self {
        Self::Named(Vec::new())
    }

    /// Adds an organization, unless the work declared `None` or `All`.
    pub(super) fn add(&mut self, organization_id: &OrganizationId) {
        if let Self::Named(slots) = self {
            slots.push(slot(organization_id));
        }
    }
}

pub(super) fn slot(organization_id: &OrganizationId) -> usize {
    let mut hasher = DefaultHasher::new();
    organization_id.as_str().hash(&mut hasher);
    // Reduced before the conversion, so that it fits into a usize of any width.
    usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0)
}
