//! Invariants of the stored rows that constraints cannot express: the checks that find violations, and the repair of
//! derived data.

mod checker;
pub mod checks;
pub mod repair;

pub use checker::Checker;
