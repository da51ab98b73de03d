//! The open connections: how many there are in all and for each peer, and which of them may be closed for a new one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::activity::Activity;

/// The network part of an IPv6 address.
const IPV6_NETWORK: u128 = u128::MAX << 64;

/// Bounded by the limits that it enforces.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    max: usize,
    max_per_peer: usize,
    keep: Keep,
    state: Mutex<State>,
    /// Told when a connection has ended or has become idle.
    freed: Arc<Notify>,
}

/// Which connections are never closed for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Those on which a call had a valid API key. Calls that need no key, such as watches of health, protect a connection
    /// only from giving way before those without calls.
    Authenticated,
    /// Those with a request in progress.
    InUse,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    connections: HashMap<u64, Arc<Activity>>,
    /// Unix sockets have no peer address, and are not counted here.
    per_peer: HashMap<IpAddr, usize>,
}

/// Why a connection is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// No other connection may be closed.
    Table,
    /// No other connection of the same peer may be closed.
    Peer,
}

/// An open connection. Dropping it makes room for another one.
#[derive(Debug)]
pub(super) struct Registration {
    table: Arc<ConnectionTable>,
    id: u64,
    pub(super) activity: Arc<Activity>,
}

impl ConnectionTable {
    pub(super) fn new(max: usize, max_per_peer: usize, keep: Keep) -> Arc<Self> {
        Arc::new(Self { max, max_per_peer, keep, state: Mutex::default(), freed: Arc::default() })
    }

    /// Takes a connection. If there are too many, the one that has been idle for longest is closed, of those that are not
    /// to be kept.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Registration, Full> {
        let peer = peer.map(network);
        let mut state = self.lock();
        let is_peer_full =
            peer.is_some_and(|peer| state.per_peer.get(&peer).is_some_and(|open| *open >= self.max_per_peer));
        if is_peer_full {
            state.evict(self.keep, |activity| activity.peer() == peer).ok_or(Full::Peer)?;
        } else if state.connections.len() >= self.max {
            state.evict(self.keep, |_| true).ok_or(Full::Table)?;
        }
        let activity = Arc::new(Activity::new(peer, self.freed.clone()));
        let id = state.next_id;
        state.next_id += 1;
        state.connections.insert(id, activity.clone());
        if let Some(peer) = peer {
            *state.per_peer.entry(peer).or_default() += 1;
        }
        drop(state);
        Ok(Registration { table: self.clone(), id, activity })
    }

    /// Returns when there may be room for another connection. For one task.
    pub(super) async fn until_freed(&self) {
        self.freed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes the idlest of these connections. Those with calls are closed after those that do nothing at all, and those
    /// that are to be kept never.
    fn evict(&mut self, keep: Keep, is_candidate: impl Fn(&Activity) -> bool) -> Option<()> {
        let idlest = self
            .connections
            .iter()
            .filter(|(_, activity)| !keep.applies_to(activity) && is_candidate(activity))
            .min_by_key(|(_, activity)| (activity.has_calls(), activity.idle_since()));
        let id = *idlest?.0;
        self.remove(id)?.evict();
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Activity>> {
        let activity = self.connections.remove(&id)?;
        if let Some(peer) = activity.peer()
            && let Some(open) = self.per_peer.get_mut(&peer)
        {
            *open -= 1;
            if *open == 0 {
                self.per_peer.remove(&peer);
            }
        }
        Some(activity)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.table.lock().remove(self.id);
        self.table.freed.notify_one();
    }
}

impl Keep {
    fn applies_to(self, activity: &Activity) -> bool {
        match self {
            Self::Authenticated => activity.is_authenticated(),
            Self::InUse => activity.has_calls(),
        }
    }
}

/// The network whose connections are counted together: an IPv4 address, or a /64 of IPv6, since one who has one address of
/// a /64 has all of them.
fn network(address: IpAddr) -> IpAddr {
    // A listener on `[::]` sees IPv4 addresses as IPv6 addresses of a single /64.
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::{ConnectionTable, Full, Keep, network};

    fn peer(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[tokio::test]
    async fn a_peer_has_at_most_its_share_of_the_connections() {
        let table = ConnectionTable::new(10, 2, Keep::Authenticated);
        let first = table.admit(Some(peer(1))).expect("room");
        let second = table.admit(Some(peer(1))).expect("room");
        first.activity.authenticated();
        let third = table.admit(Some(peer(1))).expect("the place of the one without a caller");
        assert!(second.activity.is_evicted());
        third.activity.authenticated();
        assert_eq!(table.admit(Some(peer(1))).err(), Some(Full::Peer));
        assert!(table.admit(Some(peer(2))).is_ok() && table.admit(None).is_ok());
        drop(first);
        assert!(table.admit(Some(peer(1))).is_ok());
    }

    #[tokio::test]
    async fn a_new_connection_takes_the_place_of_the_idlest_without_a_caller() {
        let table = ConnectionTable::new(3, 3, Keep::Authenticated);
        let caller = table.admit(Some(peer(1))).expect("room");
        caller.activity.authenticated();
        let watcher = table.admit(Some(peer(1))).expect("room");
        let _call = watcher.activity.begin_call();
        let silent = table.admit(Some(peer(1))).expect("room");
        let _new = table.admit(Some(peer(2))).expect("the place of the silent one");
        assert!(silent.activity.is_evicted() && !watcher.activity.is_evicted());
        assert!(!caller.activity.is_evicted());
    }

    #[tokio::test]
    async fn connections_of_callers_are_not_closed_for_others() {
        let table = ConnectionTable::new(1, 1, Keep::Authenticated);
        let caller = table.admit(None).expect("room");
        caller.activity.authenticated();
        assert_eq!(table.admit(Some(peer(1))).err(), Some(Full::Table));
        drop(caller);
        assert!(table.admit(Some(peer(1))).is_ok());
        let state = table.lock();
        assert!(state.connections.is_empty() && state.per_peer.is_empty());
    }

    #[tokio::test]
    async fn a_connection_with_a_request_in_progress_is_not_closed_for_others() {
        let table = ConnectionTable::new(2, 2, Keep::InUse);
        let busy = table.admit(Some(peer(1))).expect("room");
        let request = busy.activity.begin_call();
        let silent = table.admit(Some(peer(1))).expect("room");
        let other = table.admit(Some(peer(1))).expect("the place of the silent one");
        assert!(silent.activity.is_evicted() && !busy.activity.is_evicted());
        let _request = other.activity.begin_call();
        assert_eq!(table.admit(Some(peer(1))).err(), Some(Full::Peer));
        assert_eq!(table.admit(Some(peer(2))).err(), Some(Full::Table));
        drop(silent);
        table.until_freed().await;
        assert!(timeout(Duration::ZERO, table.until_freed()).await.is_err());
        drop(request);
        table.until_freed().await;
        assert!(table.admit(Some(peer(2))).is_ok(), "the place of the one whose request has ended");
        assert!(busy.activity.is_evicted());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_peer_and_ipv4_addresses_are_not() {
        let network = |address: &str| network(address.parse().expect("an address"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
        assert_ne!(network("::ffff:10.0.0.1"), network("::ffff:10.0.0.2"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
    }
}
