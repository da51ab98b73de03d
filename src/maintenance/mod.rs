//! Work on stored data outside of calls: periodic cleanup, erasure of a human, and
//! verification.

pub mod cleanup;
pub mod delete_identity;
pub mod erase;
pub mod pending;
pub mod verify;
