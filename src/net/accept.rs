//! The accept loop of a listener.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tonic::body::Body;
use tower::Service;

use super::listeners::Listener;
use super::table::Full;
use super::{Shared, Stage, connection};

/// Pause after a failed accept. A cause such as the limit of file descriptors persists, so that an immediate retry would
/// be a busy loop.
pub(super) const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Minimum interval between two warnings, since their cause can occur thousands of times a second.
const WARNING_INTERVAL: Duration = Duration::from_secs(5);

/// Accepts connections until the drain starts, then closes the listener.
pub(super) async fn accept<S>(listener: Listener, shared: Arc<Shared<S>>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let mut stage = shared.stage.clone();
    let accepting = async {
        let mut warning = RateLimitedWarning::default();
        loop {
            match listener.accept().await {
                // A client whose connection is rejected notices immediately, and can connect to another replica.
                Ok(socket) => match shared.table.admit(socket.peer().remote_addr.map(|peer| peer.ip())) {
                    Ok(place) => {
                        shared.connections.spawn(connection::serve(socket, shared.clone(), place));
                    }
                    Err(Full::Table) => warning.log("connection limit reached: rejecting a connection", None),
                    Err(Full::Peer) => {
                        warning.log("connection limit of one address reached: rejecting a connection", None);
                    }
                },
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    warning.log("cannot accept connections", Some(error));
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    };
    tokio::select! {
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => {}
        () = accepting => {}
    }
}

/// Whether the error concerns only the connection that was to be accepted, and not the listener.
pub(super) fn concerns_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::WouldBlock
    )
}

/// A warning of an accept loop, logged at most every [`WARNING_INTERVAL`].
#[derive(Default)]
pub(super) struct RateLimitedWarning {
    last: Option<Instant>,
    /// Warnings since the last one that was logged.
    suppressed: u64,
}

impl RateLimitedWarning {
    pub(super) fn log(&mut self, what: &str, error: Option<Error>) {
        if self.last.is_some_and(|last| last.elapsed() < WARNING_INTERVAL) {
            self.suppressed += 1;
            return;
        }
        let error = error.map(tracing::field::display);
        tracing::warn!(error, kept_back = self.suppressed, "{what}");
        *self = Self { last: Some(Instant::now()), suppressed: 0 };
    }
}
