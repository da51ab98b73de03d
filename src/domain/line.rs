//! The phone numbers we send from.

use super::numbered::numbered_enum;

numbered_enum! {
    /// What a line is for.
    LineRole {
        /// Takes commands (`connect`, `disconnect`, `list`). There is at most one.
        Router = 1,
        /// Carries the threads between humans and agents.
        Pool = 2,
    }
}
