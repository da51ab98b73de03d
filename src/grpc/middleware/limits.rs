//! Bounds on what one process takes on: how many calls at once, how long each may take, how large it may be.
//!
//! tonic's own limit cannot except health; hence this layer. A call beyond the bound is refused at once, before anything
//! is looked up: a queue would only make every caller late. Calls that wait for a line cost nothing but their place, so
//! there may be many; those that wait for the database make each other wait, so their bound is on that time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::error::Error;
use crate::grpc::middleware::access_log::RequestId;
use crate::grpc::middleware::auth::is_open_service;
use crate::grpc::middleware::stream_shutdown;
use crate::grpc::middleware::timeout::time_for;
use crate::grpc::wire::status;
use crate::store::Database;

/// After how long a refused call is worth trying again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// What HTTP counts for each header besides its name and value, in bytes (RFC 9113, 6.5.2).
const HEADER_OVERHEAD: usize = 32;

/// What one process takes on. Each is a setting; `config::transport` says what for.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls at once; health and reflection are not counted.
    pub in_flight: usize,
    /// How long calls may wait for a session of the database before others are refused.
    pub wait: Duration,
    /// The longest that a call may take, whatever its client says.
    pub longest: Duration,
    /// Bytes of a request, unpacked.
    pub request: u32,
    /// Bytes of a request's metadata.
    pub metadata: u32,
    /// Bytes from which an answer is compressed, for clients that take it.
    pub compress_from: u32,
}

/// In a request whose client takes compressed answers: the size from which they are worth it, in bytes.
#[derive(Debug, Clone, Copy)]
pub(in crate::grpc) struct PackFrom(pub(in crate::grpc) usize);

/// Keeps calls within their limits.
#[derive(Clone)]
pub struct LimitsLayer {
    limits: CallLimits,
    places: Arc<Semaphore>,
    db: Database,
    finish: CancellationToken,
}

impl LimitsLayer {
    /// A layer with these limits, shared by all connections, for calls on this database; answers without an end are ended
    /// at `finish`.
    #[must_use]
    pub fn new(limits: CallLimits, db: Database, finish: CancellationToken) -> Self {
        Self { limits, places: Arc::new(Semaphore::new(limits.in_flight)), db, finish }
    }
}

impl<S> Layer<S> for LimitsLayer {
    type Service = Limits<S>;

    fn layer(&self, inner: S) -> Limits<S> {
        Limits { layer: self.clone(), inner }
    }
}

/// The service that [`LimitsLayer`] makes.
#[derive(Clone)]
pub struct Limits<S> {
    layer: LimitsLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for Limits<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let LimitsLayer { limits, places, db, finish } = &self.layer;
        let limits = *limits;
        if is_open_service(request.uri().path()) {
            let finish = finish.clone();
            return Box::pin(async move {
                Ok(inner.call(request).await?.map(|body| stream_shutdown::until(finish, body)))
            });
        }
        let request_id = request.extensions().get::<RequestId>().cloned();
        let refuse = move |error: &Error| {
            let request_id = request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
            Ok(status::from_error(error, request_id).into_http())
        };
        let limit = limits.metadata as usize;
        if size_of(request.headers()) > limit {
            return Box::pin(async move { refuse(&Error::TooLarge { what: "request metadata", limit }) });
        }
        let place = places.clone().try_acquire_owned().ok().filter(|_| !db.is_saturated(limits.wait));
        let Some(place) = place else {
            return Box::pin(async move { refuse(&Error::Overloaded { retry_after: RETRY_AFTER }) });
        };
        if request.headers().contains_key("grpc-accept-encoding") {
            request.extensions_mut().insert(PackFrom(limits.compress_from as usize));
        }
        let time = time_for(request.headers(), limits.longest);
        Box::pin(async move {
            let _place = place;
            match timeout(time, inner.call(request)).await {
                Ok(Ok(response)) => match meant_by_tonic(response.headers(), limits.request as usize) {
                    Some(error) => refuse(&error),
                    None => Ok(response),
                },
                Ok(Err(never)) => match never {},
                Err(_) => refuse(&Error::DeadlineExceeded),
            }
        })
    }
}

/// Bytes of metadata, as HTTP/2 counts them.
fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum()
}

/// What tonic means by an answer of its own about the bytes of a request, which has no details. It refuses a request that
/// is too large as `OUT_OF_RANGE`, one that unpacks to too much as `RESOURCE_EXHAUSTED`, and one that cannot be unpacked, or
/// breaks off, as `INTERNAL`. No answer of ours is like that.
fn meant_by_tonic(headers: &HeaderMap, limit: usize) -> Option<Error> {
    let code = headers.get("grpc-status")?.as_bytes();
    let is_ours = headers.contains_key("grpc-status-details-bin");
    match code {
        b"11" => Some(Error::TooLarge { what: "request", limit }),
        b"8" if !is_ours => Some(Error::TooLarge { what: "request", limit }),
        b"13" if !is_ours => Some(Error::invalid("", "malformed gRPC frame, or not compressed as declared")),
        _ => None,
    }
}
