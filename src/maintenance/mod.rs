//! Work on stored data outside of calls: periodic cleanup, fetching what webhooks did not deliver, erasure of a human, and
//! verification.

pub mod back_fill;
pub mod cleanup;
pub mod delete_identity;
pub mod erase;
pub mod pending;
pub mod verify;
