//! From the socket to a call: listeners, TLS, and the life of a connection.
//!
//! tonic's own server is not used for it: it cannot bound connections, waits for ever at its end for a client that sends
//! nothing, spins where the process is out of file descriptors, and keeps its connections out of reach of a drain. What
//! remains is hyper's HTTP/2 connection with a bound on everything that a client could take without end.

mod accept;
mod connection;
pub(crate) mod http1;
mod io;
pub mod listeners;
pub mod probe;
pub mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::Service;

use listeners::Listeners;
use tls::Tls;

/// Windows of HTTP/2 flow control, in bytes: a whole request of the largest size without a pause.
const WINDOW: u32 = 1 << 20;
/// A connection without a call is let go this long after it was told to leave, so that its last answers are on their way,
/// and a call that its client sent before it heard is still taken.
const LINGER: Duration = Duration::from_secs(1);
/// How long connections that were cut may take to be gone. Nothing of theirs waits for anything then.
const CUT_LIMIT: Duration = Duration::from_secs(1);
/// HTTP/2 itself takes metadata up to this many times our bound, so that we can answer in words what is a little
/// too large. What is larger still gets the bare status 431, or ends its connection.
const METADATA_ROOM: u32 = 2;

/// Bounds on connections. Each is a setting; `config::transport` says what for.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections at once; more are closed at once.
    pub connections: usize,
    /// Calls at once on one connection; the protocol makes its client wait.
    pub streams: u32,
    /// Bytes of a request's metadata.
    pub metadata: u32,
    /// Calls that a client gave up before we began with them, at once on one connection; more end the connection.
    pub pending_resets: usize,
    /// Streams that a client's mistakes made us reset, in the life of a connection; more end it.
    pub error_resets: usize,
    /// From the connection to the first bytes of HTTP/2, with TLS in between.
    pub handshake: Duration,
    /// How long a client may be silent before it is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How long its answer may take before its connection is closed.
    pub keepalive_time_out: Duration,
    /// When a connection is told to move on, one tenth more or less; `None` = never.
    pub age: Option<Duration>,
    /// How long calls under way have after that, before the connection is cut.
    pub age_grace: Duration,
}

/// Where the service is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Connections and calls are taken.
    Serving,
    /// No new ones are; what is under way goes on.
    Finishing,
    /// Everything ends now.
    Cut,
}

/// Runs the tasks of calls, so that a drain knows when there are none left.
#[derive(Debug, Clone)]
struct CallTasks(TaskTracker);

impl<F> Executor<F> for CallTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, call: F) {
        self.0.spawn(call);
    }
}

/// What every connection shares.
struct Shared<S> {
    service: S,
    http2: http2::Builder<CallTasks>,
    limits: ConnectionLimits,
    tls: Option<Tls>,
    places: Arc<Semaphore>,
    stage: watch::Receiver<Stage>,
    connections: TaskTracker,
}

/// The service, reachable. Dropped without a drain, everything is cut.
#[derive(Debug)]
pub struct Transport {
    stage: watch::Sender<Stage>,
    connections: TaskTracker,
    calls: TaskTracker,
    follow_files: DropGuard,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

impl Transport {
    /// Takes connections from here on. Files of `tls` are followed until the drain.
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
        let follow_files = CancellationToken::new();
        let mut tasks = Vec::new();
        if let Some(tls) = tls.clone() {
            tasks.push(("TLS files", connections.spawn(tls.follow(follow_files.clone()))));
        }
        let (stage, at_stage) = watch::channel(Stage::Serving);
        let shared = Arc::new(Shared {
            service,
            http2: http2(&limits, CallTasks(calls.clone())),
            limits,
            tls,
            places: Arc::new(Semaphore::new(limits.connections)),
            stage: at_stage,
            connections: connections.clone(),
        });
        for listener in listeners {
            tasks.push(("listener", connections.spawn(accept::accept(listener, shared.clone()))));
        }
        Self { stage, connections, calls, follow_files: follow_files.drop_guard(), tasks }
    }

    /// The tasks that must run until the drain, with their names, for supervision.
    pub fn take_tasks(&mut self) -> Vec<(&'static str, JoinHandle<()>)> {
        std::mem::take(&mut self.tasks)
    }

    /// Takes no connection and no call any more, waits at most `limit` for those under way, and cuts what is left then.
    pub async fn drain(self, limit: Duration) {
        drop(self.follow_files);
        self.connections.close();
        self.calls.close();
        self.stage.send_replace(Stage::Finishing);
        // Clients that do not answer our farewell hold their connections open, and nothing else.
        let without_calls = async {
            loop {
                self.calls.wait().await;
                sleep(LINGER).await;
                if self.calls.is_empty() {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.connections.wait() => {}
            () = without_calls => {}
            () = sleep(limit) => {
                tracing::warn!(calls = self.calls.len(), "calls under way were cut at the end of the drain");
            }
        }
        self.stage.send_replace(Stage::Cut);
        let gone = async {
            self.connections.wait().await;
            self.calls.wait().await;
        };
        if timeout(CUT_LIMIT, gone).await.is_err() {
            tracing::warn!(connections = self.connections.len(), calls = self.calls.len(), "left behind");
        }
    }
}

fn http2(limits: &ConnectionLimits, calls: CallTasks) -> http2::Builder<CallTasks> {
    let mut builder = http2::Builder::new(calls);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.metadata.saturating_mul(METADATA_ROOM))
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.error_resets)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_time_out);
    builder
}
