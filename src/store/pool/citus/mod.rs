//! Distributing the tables over several nodes, with Citus.
//!
//! The schema is made for it: every key of a tenant table begins with `organization_id`, and a query names it, so that
//! it runs on one node. This module has the placement of each table ([`placement`]) and the command that distributes
//! them ([`distribute()`]). `tests/integration/store/router` checks that every query asks one node.
//!
//! Citus cannot be hidden entirely. These are the only places outside this module that depend on it, each through
//! `DbConnection::is_distributed`:
//! - `pool::connection`, `pool::pgbouncer`: Citus has no generic plans, since the parameters choose the node.
//! - `pool::batch` (`BatchQuery::SINGLE_ON_CITUS`): a batch whose keys live on several nodes, such as routes by human, or
//!   which changes two tables in one statement, runs once per key.
//! - `messages::append`: Citus refuses to change two tables in one statement, so that storing a message takes two
//!   statements in a transaction.
//! - `pool::migrations`: a migration is sent statement by statement.
//! - The integrity checks and repairs: there is no snapshot across nodes, so that a violation is checked again, and a
//!   repair waits for commits to become visible on all nodes.

mod detect;
mod distribute;
mod layout;
mod statements;

pub(super) use detect::{PLAN_FOR_TRANSACTION, detect, detect_for_session, has_citus};
pub use distribute::{NotDistributed, distribute, left_over};
pub use layout::{FIRST, GLOBAL, Placement, TENANT, placement};
pub use statements::statements;
