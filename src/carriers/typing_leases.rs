//! The typing indicators that this process renews.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::carrier::Carrier;
use crate::admission::{Consumer, Permit, Share, Shares};
use crate::domain::{ConversationId, OrganizationId};
use crate::error::Result;

/// Maximum number of indicators that are renewed, in total. An organization may use its share. Each is a task that sleeps.
const MAX_LEASES: usize = 1_000;

/// The owner is part of the key, as in the queues of conversations.
type Key = (OrganizationId, ConversationId);

/// At most one lease per conversation, and a bounded number of them in total and per organization.
#[derive(Debug)]
pub struct TypingLeases {
    places: Arc<Shares>,
    state: Mutex<State>,
    drain: CancellationToken,
    interval: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    leases: HashMap<Key, Entry>,
    /// The number of the last lease.
    last: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Cancelled when the lease is ended from outside.
    stop: CancellationToken,
    place: Permit,
}

/// A lease that has begun.
#[derive(Debug)]
pub struct Begun {
    number: u64,
    /// Cancelled when the lease ends otherwise than by [`TypingLeases::finish`].
    pub stop: CancellationToken,
}

impl TypingLeases {
    /// `share` is the part of the leases that one organization may have; `interval` is the time between two renewals, `None`
    /// = as the carrier requires.
    #[must_use]
    pub fn new(share: Share, interval: Option<Duration>) -> Self {
        Self {
            places: Shares::new(MAX_LEASES, share),
            state: Mutex::default(),
            drain: CancellationToken::new(),
            interval,
        }
    }

    /// Time between two renewals of an indicator.
    #[must_use]
    pub fn interval(&self, carrier: &dyn Carrier) -> Duration {
        self.interval.unwrap_or_else(|| carrier.typing_renewal())
    }

    /// The number of indicators that are being renewed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().leases.len()
    }

    /// Ends the lease of a conversation, if there is one. A renewal that has begun is completed.
    pub fn end(&self, organization_id: &OrganizationId, id: ConversationId) {
        if let Some(entry) = self.lock().leases.remove(&(organization_id.clone(), id)) {
            entry.stop.cancel();
        }
    }

    /// Ends all leases. Later ones end at once.
    pub fn drain(&self) {
        self.drain.cancel();
        self.lock().leases.clear();
    }

    /// Whether a lease of this conversation may begin. Asked before the carrier is called, so that a call that is refused
    /// has no effect.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn check_room(&self, organization_id: &OrganizationId, id: ConversationId) -> Result<()> {
        let key = (organization_id.clone(), id);
        if self.lock().leases.contains_key(&key) {
            return Ok(());
        }
        self.place(&key).map(drop)
    }

    /// Begins a lease, which replaces an earlier one of the conversation and takes its place.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn begin(&self, organization_id: &OrganizationId, id: ConversationId) -> Result<Begun> {
        let key = (organization_id.clone(), id);
        let mut state = self.lock();
        let place = match state.leases.remove(&key) {
            Some(earlier) => {
                earlier.stop.cancel();
                earlier.place
            }
            None => self.place(&key)?,
        };
        state.last += 1;
        let (number, stop) = (state.last, self.drain.child_token());
        state.leases.insert(key, Entry { number, stop: stop.clone(), place });
        Ok(Begun { number, stop })
    }

    /// Removes a lease that ends by itself, unless it was ended or replaced before.
    pub fn finish(&self, organization_id: &OrganizationId, id: ConversationId, begun: &Begun) {
        let key = (organization_id.clone(), id);
        let mut state = self.lock();
        if state.leases.get(&key).is_some_and(|entry| entry.number == begun.number) {
            state.leases.remove(&key);
        }
    }

    fn place(&self, (organization_id, _): &Key) -> Result<Permit> {
        self.places.acquire(&Consumer::Organization(organization_id.clone()), 1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{MAX_LEASES, TypingLeases};
    use crate::admission::Share;
    use crate::domain::{ConversationId, OrganizationId};
    use crate::error::Error;

    fn conversation(number: usize) -> ConversationId {
        Uuid::from_u128(number as u128).into()
    }

    fn organizations() -> (OrganizationId, OrganizationId) {
        ("org_a".into(), "org_b".into())
    }

    #[test]
    fn an_organization_has_its_share_of_leases_and_others_have_room() {
        let leases = TypingLeases::new(Share::default(), None);
        let (of_a, of_b) = organizations();
        let share = Share::default().of(MAX_LEASES);
        for number in 0..share {
            leases.begin(&of_a, conversation(number)).expect("a place");
        }
        let (first, next) = (conversation(0), conversation(share));
        assert!(matches!(leases.begin(&of_a, next), Err(Error::Overloaded { .. })));
        assert!(leases.check_room(&of_a, next).is_err());
        leases.begin(&of_b, first).expect("a place of another organization");
        // A conversation that has a lease keeps its place when the lease is replaced.
        leases.check_room(&of_a, first).expect("its own place");
        leases.begin(&of_a, first).expect("its own place");
        leases.end(&of_a, first);
        leases.begin(&of_a, next).expect("the place that was given back");
    }

    #[test]
    fn a_conversation_has_one_lease_and_the_newest_is_it() {
        let leases = TypingLeases::new(Share::ALL, None);
        let (of_a, _) = organizations();
        let first = leases.begin(&of_a, conversation(1)).expect("a place");
        let second = leases.begin(&of_a, conversation(1)).expect("a place");
        assert!(first.stop.is_cancelled() && !second.stop.is_cancelled());
        leases.finish(&of_a, conversation(1), &first);
        assert_eq!(leases.count(), 1, "the first was replaced and cannot end the second");
        leases.finish(&of_a, conversation(1), &second);
        assert_eq!((leases.count(), leases.places.used()), (0, 0));
    }

    #[test]
    fn a_drain_ends_all_leases_and_later_ones_at_once() {
        let leases = TypingLeases::new(Share::ALL, None);
        let (of_a, _) = organizations();
        let before = leases.begin(&of_a, conversation(1)).expect("a place");
        leases.drain();
        let after = leases.begin(&of_a, conversation(2)).expect("a place");
        assert!(before.stop.is_cancelled() && after.stop.is_cancelled());
    }
}
