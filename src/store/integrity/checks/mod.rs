//! Invariants that constraints cannot express. Each invariant is one statement that selects the rows which
//! violate it, so that it sees one consistent state of the database while the service writes; on a
//! distributed database, one state of each node.
//!
//! Tables that are distributed by different columns are each read into a `WITH … MATERIALIZED` list first,
//! because Citus joins the lists but not the tables. A list may be joined to a table (Citus sends it to each
//! node), but not on the left side of an outer join and not inside NOT EXISTS.
//!
//! To add an invariant:
//! 1. Add it to the file of its table with `range_check!` (rows of one tenant) or `global_check!` (whole
//!    tables).
//! 2. Add a statement that violates it to `tests/api/verification/table.rs`, whose test fails otherwise.
//! 3. If the correct state follows from other rows, name a [`Repair`], so that `verify --repair` restores it.

mod children;
mod conversations;
mod events;
mod global_tables;
mod invariant;
mod keys;
mod messages;

use children::{CONNECTIONS, CONTACT_RULES, REACTIONS};
use conversations::CONVERSATIONS;
use messages::MESSAGES;

pub use invariant::{Invariant, KeyRange, Repair, TableChecks, Violation, Violations};

/// Invariants of tenant tables.
pub const TENANT_CHECKS: [&TableChecks; 5] =
    [&CONNECTIONS, &CONVERSATIONS, &MESSAGES, &REACTIONS, &CONTACT_RULES];

/// Invariants between global tables and the rows of all tenants, and of whole event logs. Each is one statement over whole tables,
/// which are small. The order is that of repair: line counts are derived from routes.
pub const GLOBAL_CHECKS: [&[Invariant<()>]; 3] =
    [global_tables::INVARIANTS, keys::INVARIANTS, events::INVARIANTS];

/// The names of all invariants.
pub fn names() -> impl Iterator<Item = &'static str> {
    let of_tenants =
        TENANT_CHECKS.into_iter().flat_map(|checks| checks.invariants).map(|invariant| invariant.name);
    of_tenants.chain(GLOBAL_CHECKS.into_iter().flatten().map(|invariant| invariant.name))
}
