//! Spreading the tables over several machines, with Citus. The rest of the service knows nothing of it, but for
//! `DbConnection::is_distributed`.

mod distribute;
mod layout;
mod statements;

pub(super) use distribute::has_citus;
pub use distribute::{NotDistributed, distribute, left_over};
pub use layout::{FIRST, GLOBAL, Placement, TENANT, placement};
pub use statements::statements;
