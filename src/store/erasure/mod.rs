//! Removing all there is of a pair or of a human. In two steps: a conversation is *discarded* with its connections in one
//! transaction, after which nobody finds it any more; its messages are *purged* in batches afterwards, by whoever comes
//! first, and again after a crash.

mod discard;
mod human;
mod purge;

pub use discard::{Discarded, Discarding, Pair, discard};
pub use human::{Known, active_connection, delete_rules, identities_of, known};
pub use purge::{Purged, purge, some_discarded};
