//! One connection from the accept to its end: TLS handshake, HTTP/2 preface, calls, maximum age.

use std::convert::Infallible;
use std::future::pending;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use rand::RngExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;
use tower::util::Oneshot;

use super::activity::{Activity, CallCount};
use super::io::Stream;
use super::listeners::Socket;
use super::stall::ProgressBody;
use super::table::Registration;
use super::{Shared, Stage};

/// Spread of the maximum age, as a factor, so that clients that connected together do not reconnect together.
const AGE_SPREAD: Range<f64> = 0.9..1.1;

/// How long a connection that is closed for another one, or because it is idle, may take to end.
const EVICTION_GRACE: Duration = Duration::from_secs(1);

/// What happens to a connection at a point in time.
#[derive(Debug, Clone, Copy)]
enum Deadline {
    /// The connection is closed unless the client has sent the HTTP/2 preface.
    Handshake,
    /// The connection is shut down gracefully.
    MaxAge,
    /// The connection is closed.
    ForceClose,
}

/// Waits for a deadline; for ever if there is none.
async fn expired(next: Option<(Deadline, Instant)>) -> Deadline {
    match next {
        Some((deadline, at)) => {
            sleep_until(at).await;
            deadline
        }
        None => pending().await,
    }
}

/// Serves a connection until it ends. `place` counts it among the open connections.
pub(super) async fn serve<S>(socket: Socket, shared: Arc<Shared<S>>, place: Registration)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let limits = shared.limits;
    let began = Instant::now();
    // A clone of a receiver that has seen no change, so that a change during the handshake is noticed as well.
    let mut stage = shared.stage.clone();
    let peer = socket.peer();
    let opening = timeout_at(began + limits.handshake, Stream::open(socket, shared.tls.as_ref()));
    let (stream, preface_seen) = tokio::select! {
        () = place.activity.until_evicted() => return,
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
        opened = opening => match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return tracing::debug!(peer = ?peer.remote_addr, error = %error, "TLS handshake failed");
            }
            Err(_) => return tracing::debug!(peer = ?peer.remote_addr, "TLS handshake timed out"),
        },
    };
    let activity = place.activity.clone();
    let calls = Calls { service: shared.service.clone(), peer, activity: activity.clone() };
    let mut expires = pin!(activity.until_expired(limits.unauthenticated_idle));
    let mut has_expired = false;
    let mut connection = pin!(shared.http2.serve_connection(TokioIo::new(stream), calls));
    let mut next = Some((Deadline::Handshake, began + limits.handshake));
    loop {
        tokio::select! {
            // The connection comes first: requests that have arrived are accepted before a change of stage takes effect.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended");
                }
                return;
            }
            changed = stage.changed() => {
                let now = if changed.is_ok() { *stage.borrow_and_update() } else { Stage::Closing };
                match now {
                    Stage::Serving => {}
                    Stage::Draining if preface_seen.is_set() => {
                        connection.as_mut().graceful_shutdown();
                        activity.close();
                    }
                    // A client that has sent nothing has no call in progress, but hyper would wait for its preface.
                    Stage::Draining | Stage::Closing => return,
                }
            }
            () = expires.as_mut(), if !has_expired => {
                if !preface_seen.is_set() {
                    return;
                }
                tracing::debug!("a connection without a caller is closed");
                has_expired = true;
                connection.as_mut().graceful_shutdown();
                next = Some((Deadline::ForceClose, Instant::now() + EVICTION_GRACE));
            }
            deadline = expired(next) => next = match deadline {
                Deadline::Handshake if !preface_seen.is_set() => {
                    return tracing::debug!("a connection sent no HTTP/2 preface in time");
                }
                Deadline::Handshake => limits.age.map(|age| {
                    (Deadline::MaxAge, began + age.mul_f64(rand::rng().random_range(AGE_SPREAD)))
                }),
                Deadline::MaxAge => {
                    connection.as_mut().graceful_shutdown();
                    activity.close();
                    Some((Deadline::ForceClose, Instant::now() + limits.age_grace))
                }
                Deadline::ForceClose if has_expired => return,
                Deadline::ForceClose => {
                    return tracing::warn!("a connection with calls in progress was closed after its age and grace");
                }
            },
        }
    }
}

/// Passes requests to the service, with the addresses of the connection, and counts them.
struct Calls<S> {
    service: S,
    peer: TcpConnectInfo,
    activity: Arc<Activity>,
}

impl<S> hyper::service::Service<Request<Incoming>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<ProgressBody<Option<CallCount>>>;
    type Error = Infallible;
    type Future = CallFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer.clone());
        request.extensions_mut().insert(self.activity.clone());
        let count = Some(self.activity.begin_call());
        CallFuture { call: Oneshot::new(self.service.clone(), request), count }
    }
}

pin_project! {
    /// A call until its response begins. Not boxed, since every call has one.
    struct CallFuture<S: Service<Request<Body>>> {
        #[pin]
        call: Oneshot<S, Request<Body>>,
        // Moves into the body of the response.
        count: Option<CallCount>,
    }
}

impl<S> Future for CallFuture<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Output = Result<Response<ProgressBody<Option<CallCount>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.call.poll(context));
        Poll::Ready(Ok(response.map(|body| ProgressBody::new(body, this.count.take()))))
    }
}
