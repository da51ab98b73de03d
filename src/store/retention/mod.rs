//! Deletion of data, by age or on request.
//!
//! - `expiry` deletes idempotency keys and deduplication records that are older than their retention.
//! - `redact` removes the bodies of old messages and reactions and keeps their rows.
//! - `discard` and `purge` delete everything between an identity and a human, in two steps: one
//!   transaction discards the conversation together with its connections, after which no query finds it. Its
//!   messages are purged afterwards in batches, by an erasure or by the background cleanup, also after a
//!   crash.

mod discard;
pub mod expiry;
mod purge;
mod redact;
mod released;
mod subject;

pub use discard::{DiscardOutcome, Discarded, Participants, discard};
pub use purge::{Purged, list_discarded, purge};
pub(super) use redact::lock_retention;
pub use redact::{BodyKind, RedactionProgress, has_unredacted, redact};
pub use released::{ReleasedPage, list_released};
pub use subject::{
    SubjectCounts, active_connection, connected_identities, count_subject, delete_contact_rules,
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The smallest UUIDv7 of a point in time, in whole milliseconds: smaller ids were generated before it.
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
