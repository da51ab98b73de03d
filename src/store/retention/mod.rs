//! What is kept no longer than a set time: bodies of messages and reactions, and all there is of connections that ended.

mod discard;
pub mod expiry;
mod purge;
mod redact;
mod released;
mod subject;

pub use discard::{Discarded, Discarding, Pair, discard};
pub use purge::{Purged, purge, some_discarded};
pub(super) use redact::take_turn;
pub use redact::{Bodies, Progress, blank, to_be_blanked};
pub use released::{ReleasedPage, released};
pub use subject::{Known, active_connection, delete_rules, identities_of, known};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The smallest id of version 7 made at a time: ids below it were made before. In whole milliseconds.
#[must_use]
pub fn first_id_of(time: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::first_id_of;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn an_id_lies_between_the_first_of_its_millisecond_and_the_first_of_the_next() {
        let before = SystemClock.now();
        let id = SystemClock.new_id();
        let after = SystemClock.now() + TimeDelta::milliseconds(1);
        assert!(first_id_of(before) <= id && id < first_id_of(after));
    }
}
