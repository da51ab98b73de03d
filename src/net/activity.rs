//! What happens on one connection: which decides whether it may be closed for another one.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

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
    /// Whether the connection accepts no more calls and waits for those in progress.
    closing: CancellationToken,
    /// Told when the last call has ended: the connection may then be closed for another one.
    idle: Arc<Notify>,
}

/// A call in progress on a connection.
#[derive(Debug)]
pub(super) struct CallCount(Arc<Activity>);

impl Activity {
    /// Of a new connection from this network.
    pub(super) fn new(peer: Option<IpAddr>, idle: Arc<Notify>) -> Self {
        Self {
            peer,
            authenticated: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            evicted: CancellationToken::new(),
            closing: CancellationToken::new(),
            idle,
        }
    }

    /// Records that a call had a valid API key: the connection is then kept until its age.
    pub fn authenticated(&self) {
        // Read first, since all calls but the first find it set.
        if !self.is_authenticated() {
            self.authenticated.store(true, Ordering::Relaxed);
        }
    }

    /// The network of the peer, as limits count it: an IPv4 address, or a /64 of IPv6. `None` for a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    pub(super) fn has_calls(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    pub(super) fn idle_since(&self) -> Instant {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin_call(self: &Arc<Self>) -> CallCount {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallCount(self.clone())
    }

    /// Closes the connection, because another one needs its place.
    pub(super) fn evict(&self) {
        self.evicted.cancel();
    }

    /// Records that the connection waits only for its calls to end: calls without an end of their own must end now.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Cancelled when calls without an end of their own must end: the server drains, or the connection has reached its age.
    #[must_use]
    pub const fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    #[cfg(test)]
    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.is_cancelled()
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
        if self.0.calls.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle.notify_one();
        }
    }
}
