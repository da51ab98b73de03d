//! Reads from a streaming replica, without showing a caller less than it wrote through this process.
//!
//! The process numbers its writes when they end and remembers the last one of each organization ([`tracker`]). Every
//! `heartbeat::INTERVAL` it notes the newest number, commits a heartbeat row on the primary, and polls the replica for
//! heartbeats. A replica applies commits in the order of the primary, so a visible heartbeat proves that every write
//! noted before it is visible as well. This holds across timelines, promotions and restarts, and calls no function that
//! is restricted to some roles. An organization whose last write is not covered in this way reads from the primary.
//!
//! A visible heartbeat also bounds the age of the replica's state. A replica that lags more than the configured limit,
//! or whose lag has been unknown for that long, serves no reads. No call waits for a heartbeat: it only looks at the
//! recorded state.
//!
//! [`pool`] has the connections to the replica, [`read`] the fallback to the primary.

mod heartbeat;
pub(super) mod pool;
pub(super) mod read;
pub(super) mod state;
pub(super) mod tracker;
