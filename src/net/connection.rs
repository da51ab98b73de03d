//! The life of one connection: TLS, the first bytes of HTTP/2, calls, old age.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rand::RngExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;
use tower::util::Oneshot;

use super::io::Stream;
use super::listeners::Socket;
use super::{Shared, Stage};

/// What the one timer of a connection is waiting for.
enum Until {
    /// The client must have spoken HTTP/2.
    Greeted,
    /// The client is told to move on.
    Aged,
    /// The connection is cut.
    Gone,
}

/// Serves a connection to its end; `place` is held so long.
pub(super) async fn serve<S>(socket: Socket, shared: Arc<Shared<S>>, place: OwnedSemaphorePermit)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let _place = place;
    let limits = shared.limits;
    let began = Instant::now();
    // A clone that has seen no change yet, so that one that was made meanwhile is not missed.
    let mut stage = shared.stage.clone();
    let peer = socket.peer();
    let opening = timeout_at(began + limits.handshake, Stream::open(socket, shared.tls.as_ref()));
    let (stream, greeted) = tokio::select! {
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
        opened = opening => match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(peer = ?peer.remote_addr, error = %error, "no TLS"),
            Err(_) => return tracing::debug!(peer = ?peer.remote_addr, "no TLS in time"),
        },
    };
    let calls = Calls { service: shared.service.clone(), peer };
    let mut connection = pin!(shared.http2.serve_connection(TokioIo::new(stream), calls));
    let mut timer = pin!(sleep_until(began + limits.handshake));
    let mut until = Until::Greeted;
    loop {
        tokio::select! {
            // The connection first: what has arrived by now is taken before a change of stage is seen.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended");
                }
                return;
            }
            changed = stage.changed() => {
                let now = if changed.is_ok() { *stage.borrow_and_update() } else { Stage::Cut };
                match now {
                    Stage::Serving => {}
                    Stage::Finishing if greeted.is_set() => connection.as_mut().graceful_shutdown(),
                    // A client that has said nothing has no call to finish. hyper would wait for its first bytes.
                    Stage::Finishing | Stage::Cut => return,
                }
            }
            () = &mut timer => {
                let next = match until {
                    Until::Greeted if !greeted.is_set() => {
                        return tracing::debug!("a connection spoke no HTTP/2 in time");
                    }
                    Until::Greeted => {
                        until = Until::Aged;
                        // Spread, so that clients that came together do not move together.
                        limits.age.map(|age| began + age.mul_f64(rand::rng().random_range(0.9..1.1)))
                    }
                    Until::Aged => {
                        connection.as_mut().graceful_shutdown();
                        until = Until::Gone;
                        Some(Instant::now() + limits.age_grace)
                    }
                    Until::Gone => return tracing::warn!("a connection was cut, with calls, after its age and grace"),
                };
                match next {
                    Some(next) => timer.as_mut().reset(next),
                    None => timer.as_mut().reset(Instant::now() + NEVER),
                }
            }
        }
    }
}

/// Longer than any process lives.
const NEVER: std::time::Duration = std::time::Duration::from_hours(24 * 365 * 30);

/// Hands requests over, with where they came from.
struct Calls<S> {
    service: S,
    peer: TcpConnectInfo,
}

impl<S> hyper::service::Service<Request<Incoming>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Oneshot<S, Request<Body>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer.clone());
        Oneshot::new(self.service.clone(), request)
    }
}
