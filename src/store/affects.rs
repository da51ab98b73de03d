//! What a piece of work changes, as its caller declares it.

use super::standby::marks::slot;
use crate::domain::OrganizationId;

/// Whose rows, of those that lists and gets show, a piece of work may change. Reads of these organizations go to the
/// primary until the replica is known to have the change.
#[derive(Debug, Clone)]
pub enum Affects {
    /// Nothing that a list or get shows: the work only reads, or changes internal tables.
    None,
    /// Rows of any organization: every organization reads from the primary for a while.
    All,
    /// Rows of the organizations that hash to these slots of the write tracker.
    Named(Vec<usize>),
}

impl Affects {
    /// Rows of one organization.
    #[must_use]
    pub fn organization(organization_id: &OrganizationId) -> Self {
        Self::Named(vec![slot(organization_id)])
    }

    /// Rows of organizations that the work finds out while it runs, and then declares with `DbConnection::mark_affected`.
    #[must_use]
    pub const fn named() -> Self {
        Self::Named(Vec::new())
    }

    /// Adds the rows of one organization, unless the work declared `None` or `All`.
    pub(super) fn add(&mut self, organization_id: &OrganizationId) {
        if let Self::Named(slots) = self {
            slots.push(slot(organization_id));
        }
    }
}
