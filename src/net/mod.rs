//! Network layer: listeners, TLS, and the connections that gRPC calls arrive on.
//!
//! It replaces `tonic::transport::Server` by hyper's HTTP/2 connection with a bound on every resource that a client can
//! hold. The problems of tonic's server (0.14), see docs/decisions/0005-own-transport.md:
//!
//! - The number of connections is not bounded: <https://github.com/grpc/grpc-rust/issues/2094>.
//! - A client that connects and sends no HTTP/2 preface holds its connection for ever, since hyper has no handshake
//!   timeout: <https://github.com/hyperium/hyper/pull/4172>.
//! - Such a client also keeps a graceful shutdown from ending: <https://github.com/hyperium/hyper/issues/4170>.
//! - With `max_connection_age_grace`, a connection that reaches its maximum age gets no GOAWAY before it is closed. There
//!   is no known issue for it; <https://github.com/grpc/grpc-rust/pull/2449> added the option.
//! - An accept that fails, for example because the process is out of file descriptors, is retried without a pause. There
//!   is no known issue for it.
//! - A graceful shutdown has no time limit, and the caller can neither count nor close the connections:
//!   <https://github.com/grpc/grpc-rust/issues/1820>.

mod accept;
mod activity;
mod authority;
mod connection;
pub(crate) mod http1;
mod io;
pub mod listeners;
pub mod probe;
mod stall;
mod table;
pub mod tls;

pub use activity::Activity;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::Service;

use listeners::Listeners;
use stall::reset_if_stalled;
use table::{ConnectionTable, Keep};
use tls::Tls;

/// Window of HTTP/2 flow control of a stream, in bytes: what a client may send before anybody reads it. The longest text
/// fits in a little more than one.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same for all streams of a connection: the largest request.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How long a drain keeps connections open after the last call. The last responses are sent in this time, and calls that
/// clients sent before they received the GOAWAY are still accepted.
const IDLE_DRAIN_GRACE: Duration = Duration::from_secs(1);
/// How long closed connections may take to end. Their tasks do not wait for anything at that point.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// hyper accepts metadata up to this multiple of the configured limit, so that slightly larger metadata gets a gRPC status
/// with a message. Even larger metadata gets HTTP status 431, or ends its connection.
const HEADER_LIST_FACTOR: u32 = 2;

/// Limits of connections. Each one is a setting, described in `config::server`.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Maximum number of open connections. A further one takes the place of one without an authenticated call, or is
    /// rejected.
    pub connections: usize,
    /// Maximum number of open connections from one IPv4 address or one /64 of IPv6. A further one takes the place of another
    /// one of them without an authenticated call, or is rejected.
    pub per_peer: usize,
    /// How long a connection may be idle on which no call was authenticated.
    pub unauthenticated_idle: Duration,
    /// How long a client may leave a response unread before its stream is reset.
    pub response_stall: Duration,
    /// Maximum number of concurrent calls on one connection; HTTP/2 makes its client wait with further ones.
    pub streams: u32,
    /// Maximum size of a request's metadata, in bytes.
    pub metadata: u32,
    /// Maximum number of calls on one connection that its client cancelled before they started; more end the connection.
    pub pending_resets: usize,
    /// Maximum number of streams of one connection that were reset because of protocol errors; more end the connection.
    pub error_resets: usize,
    /// Maximum time from the accept to the HTTP/2 preface, including the TLS handshake.
    pub handshake: Duration,
    /// Interval of HTTP/2 pings on an idle connection.
    pub keepalive_interval: Duration,
    /// Maximum time for the answer to a ping; then the connection is closed.
    pub keepalive_time_out: Duration,
    /// Age at which a connection is shut down gracefully, with a random spread of 10 %; `None` = never.
    pub age: Option<Duration>,
    /// How long calls in progress may take after that; then the connection is closed.
    pub age_grace: Duration,
}

/// The stage of the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Connections and calls are accepted.
    Serving,
    /// New connections and calls are not accepted; calls in progress continue.
    Draining,
    /// All connections are closed.
    Closing,
}

/// Runs the tasks of calls, so that a drain can wait for them.
#[derive(Debug, Clone)]
struct CallTasks {
    tasks: TaskTracker,
    response_stall: Duration,
}

impl<F> Executor<F> for CallTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, call: F) {
        self.tasks.spawn(reset_if_stalled(call, self.response_stall));
    }
}

/// State that all connections share.
struct Shared<S> {
    service: S,
    http2: http2::Builder<CallTasks>,
    limits: ConnectionLimits,
    tls: Option<Tls>,
    table: Arc<ConnectionTable>,
    stage: watch::Receiver<Stage>,
    connections: TaskTracker,
}

/// The open listeners and their connections. Dropping it without a drain closes all of them.
#[derive(Debug)]
pub struct Transport {
    stage: watch::Sender<Stage>,
    connections: TaskTracker,
    calls: TaskTracker,
    watching_files: DropGuard,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

impl Transport {
    /// Starts to accept connections, and to watch the files of `tls` for changes until the drain.
    #[must_use]
    pub fn open<S>(listeners: Listeners, limits: ConnectionLimits, tls: Option<Tls>, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let (connections, calls) = (TaskTracker::new(), TaskTracker::new());
        let stop_watching = CancellationToken::new();
        let mut tasks = Vec::new();
        if let Some(tls) = tls.clone() {
            tasks.push(("TLS files", connections.spawn(tls.watch_files(stop_watching.clone()))));
        }
        let (stage, at_stage) = watch::channel(Stage::Serving);
        let shared = Arc::new(Shared {
            service,
            http2: http2(&limits, CallTasks { tasks: calls.clone(), response_stall: limits.response_stall }),
            limits,
            tls,
            table: ConnectionTable::new(limits.connections, limits.per_peer, Keep::Authenticated),
            stage: at_stage,
            connections: connections.clone(),
        });
        for listener in listeners {
            tasks.push(("listener", connections.spawn(accept::accept(listener, shared.clone()))));
        }
        Self { stage, connections, calls, watching_files: stop_watching.drop_guard(), tasks }
    }

    /// The tasks that must run until the drain, with their names, for supervision.
    pub fn take_tasks(&mut self) -> Vec<(&'static str, JoinHandle<()>)> {
        std::mem::take(&mut self.tasks)
    }

    /// Stops to accept connections and calls, waits at most `limit` for the calls in progress, and closes all connections.
    pub async fn drain(self, limit: Duration) {
        drop(self.watching_files);
        self.connections.close();
        self.calls.close();
        self.stage.send_replace(Stage::Draining);
        // Clients that ignore the GOAWAY keep their connections open. The drain does not wait for them.
        let without_calls = async {
            loop {
                self.calls.wait().await;
                sleep(IDLE_DRAIN_GRACE).await;
                if self.calls.is_empty() {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.connections.wait() => {}
            () = without_calls => {}
            () = sleep(limit) => {
                tracing::warn!(calls = self.calls.len(), "calls in progress were cut off at the end of the drain");
            }
        }
        self.stage.send_replace(Stage::Closing);
        let ended = async {
            self.connections.wait().await;
            self.calls.wait().await;
        };
        if timeout(CLOSE_TIMEOUT, ended).await.is_err() {
            tracing::warn!(
                connections = self.connections.len(),
                calls = self.calls.len(),
                "connections still open after forced shutdown"
            );
        }
    }
}

fn http2(limits: &ConnectionLimits, calls: CallTasks) -> http2::Builder<CallTasks> {
    let mut builder = http2::Builder::new(calls);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.metadata.saturating_mul(HEADER_LIST_FACTOR))
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.error_resets)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_time_out);
    builder
}
