//! The open connections: how many there are in all and for each peer, and which of them may be closed for a new one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Bounded by the limits that it enforces.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    max: usize,
    max_per_peer: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    connections: HashMap<u64, Arc<Activity>>,
    /// Unix sockets have no peer address, and are not counted here.
    per_peer: HashMap<IpAddr, usize>,
}

/// What happens on one connection. Shared with its calls.
#[derive(Debug)]
pub struct Activity {
    peer: Option<IpAddr>,
    /// Whether a call with a valid API key was made.
    authenticated: AtomicBool,
    calls: AtomicUsize,
    /// When the last call ended; else when the connection was opened.
    idle_since: Mutex<Instant>,
    /// Closes the connection.
    evicted: CancellationToken,
}

/// Why a connection is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Every other connection is in use by a caller with an API key.
    Table,
    Peer,
}

/// An open connection. Dropping it makes room for another one.
#[derive(Debug)]
pub(super) struct Registration {
    table: Arc<ConnectionTable>,
    id: u64,
    pub(super) activity: Arc<Activity>,
}

/// A call in progress on a connection.
#[derive(Debug)]
pub(super) struct CallCount(Arc<Activity>);

impl ConnectionTable {
    pub(super) fn new(max: usize, max_per_peer: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_peer, state: Mutex::default() })
    }

    /// Takes a connection. If there are too many, the one that has been idle for longest is closed, of those on which no
    /// call had a valid API key.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Registration, Full> {
        let mut state = self.lock();
        let is_peer_full =
            peer.is_some_and(|peer| state.per_peer.get(&peer).is_some_and(|open| *open >= self.max_per_peer));
        if is_peer_full {
            state.evict(|activity| activity.peer == peer).ok_or(Full::Peer)?;
        } else if state.connections.len() >= self.max {
            state.evict(|_| true).ok_or(Full::Table)?;
        }
        let activity = Arc::new(Activity {
            peer,
            authenticated: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            evicted: CancellationToken::new(),
        });
        let id = state.next_id;
        state.next_id += 1;
        state.connections.insert(id, activity.clone());
        if let Some(peer) = peer {
            *state.per_peer.entry(peer).or_default() += 1;
        }
        drop(state);
        Ok(Registration { table: self.clone(), id, activity })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes the idlest of these connections. Watchers of health are closed after those that do nothing at all, and
    /// callers with an API key never.
    fn evict(&mut self, is_candidate: impl Fn(&Activity) -> bool) -> Option<()> {
        let idlest = self
            .connections
            .iter()
            .filter(|(_, activity)| !activity.is_authenticated() && is_candidate(activity))
            .min_by_key(|(_, activity)| (activity.has_calls(), activity.idle_since()));
        let id = *idlest?.0;
        self.remove(id)?.evicted.cancel();
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Activity>> {
        let activity = self.connections.remove(&id)?;
        if let Some(peer) = activity.peer
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
    }
}

impl Activity {
    /// Records that a call had a valid API key: the connection is then kept until its age.
    pub fn authenticated(&self) {
        // Read first, since all calls but the first find it set.
        if !self.is_authenticated() {
            self.authenticated.store(true, Ordering::Relaxed);
        }
    }

    /// The address of the peer; `None` for a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    fn has_calls(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    fn idle_since(&self) -> Instant {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin_call(self: &Arc<Self>) -> CallCount {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallCount(self.clone())
    }

    /// Returns when the connection is to be closed at once, because another one needs its place.
    pub(super) async fn until_evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Returns when the connection is to be closed: because another one needs its place, or because nobody has made a call
    /// with an API key on it, nor any call for this time.
    pub(super) async fn until_expired(&self, idle_limit: Duration) {
        let idle = async {
            loop {
                let expires = self.idle_since() + idle_limit;
                if self.is_authenticated() {
                    return std::future::pending().await;
                }
                if expires <= Instant::now() && !self.has_calls() {
                    return;
                }
                sleep_until(expires.max(Instant::now() + idle_limit / 4)).await;
            }
        };
        tokio::select! {
            () = self.evicted.cancelled() => {}
            () = idle => {}
        }
    }
}

impl Drop for CallCount {
    fn drop(&mut self) {
        if !self.0.is_authenticated() {
            *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{ConnectionTable, Full};

    fn peer(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[tokio::test]
    async fn a_peer_has_at_most_its_share_of_the_connections() {
        let table = ConnectionTable::new(10, 2);
        let first = table.admit(Some(peer(1))).expect("room");
        let second = table.admit(Some(peer(1))).expect("room");
        first.activity.authenticated();
        let third = table.admit(Some(peer(1))).expect("the place of the one without a caller");
        assert!(second.activity.evicted.is_cancelled());
        third.activity.authenticated();
        assert_eq!(table.admit(Some(peer(1))).err(), Some(Full::Peer));
        assert!(table.admit(Some(peer(2))).is_ok() && table.admit(None).is_ok());
        drop(first);
        assert!(table.admit(Some(peer(1))).is_ok());
    }

    #[tokio::test]
    async fn a_new_connection_takes_the_place_of_the_idlest_without_a_caller() {
        let table = ConnectionTable::new(3, 3);
        let caller = table.admit(Some(peer(1))).expect("room");
        caller.activity.authenticated();
        let watcher = table.admit(Some(peer(1))).expect("room");
        let _call = watcher.activity.begin_call();
        let silent = table.admit(Some(peer(1))).expect("room");
        let _new = table.admit(Some(peer(2))).expect("the place of the silent one");
        assert!(silent.activity.evicted.is_cancelled() && !watcher.activity.evicted.is_cancelled());
        assert!(!caller.activity.evicted.is_cancelled());
    }

    #[tokio::test]
    async fn connections_of_callers_are_not_closed_for_others() {
        let table = ConnectionTable::new(1, 1);
        let caller = table.admit(None).expect("room");
        caller.activity.authenticated();
        assert_eq!(table.admit(Some(peer(1))).err(), Some(Full::Table));
        drop(caller);
        assert!(table.admit(Some(peer(1))).is_ok());
        let state = table.lock();
        assert!(state.connections.is_empty() && state.per_peer.is_empty());
    }
}
