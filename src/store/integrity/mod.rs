//! Integrity of the stored rows beyond what constraints express: [`checks`] finds violations of an invariant,
//! [`repair`] rebuilds derived data from the rows it is derived from. Both run on the connection of a
//! [`Checker`].

mod checker;
pub mod checks;
pub mod repair;

pub use checker::{CheckResult, Checker};
