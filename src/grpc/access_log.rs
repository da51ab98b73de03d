//! One log line per call, and the request id that ties a caller's report to it.
//!
//! Fields of the line: `rpc.method` (path), `rpc.code` (gRPC code's name), `duration_ms`; from the span around it:
//! `request.id`, `organization.id`, `key.id`. Never a body, a key, a phone number.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field};

use super::status;
use crate::clock::Clock;
use crate::domain::Principal;
use crate::error::Error;

/// Metadata of every request and answer.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a caller.
const REQUEST_ID_LIMIT: usize = 128;

/// What a call is known by, here and at the caller's.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's own, when it is 1 to 128 visible ASCII characters; else a fresh one.
    fn of(request: &Request<Body>, clock: &dyn Clock) -> Self {
        let given = request.headers().get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
        let usable = |id: &&str| {
            (1..=REQUEST_ID_LIMIT).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        Self(given.filter(usable).map_or_else(|| clock.new_id().to_string().into(), Into::into))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Puts the caller into the span of the call.
pub(super) fn record_caller(principal: &Principal) {
    let span = Span::current();
    span.record("key.id", field::display(principal.key_id()));
    if let Principal::Tenant(tenant) = principal {
        span.record("organization.id", tenant.organization_id.as_str());
    }
}

/// Logs every call and gives it its request id.
#[derive(Clone)]
pub struct AccessLogLayer {
    clock: Arc<dyn Clock>,
}

impl AccessLogLayer {
    /// A layer that takes fresh ids from this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog { clock: self.clock.clone(), inner }
    }
}

/// The service that [`AccessLogLayer`] makes.
#[derive(Clone)]
pub struct AccessLog<S> {
    clock: Arc<dyn Clock>,
    inner: S,
}

impl<S> Service<Request<Body>> for AccessLog<S>
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
        let request_id = RequestId::of(&request, &*self.clock);
        let span = tracing::info_span!(
            "rpc",
            request.id = request_id.as_str(),
            organization.id = field::Empty,
            key.id = field::Empty
        );
        let line = Line { method: request.uri().path().to_owned(), started: Instant::now(), code: None };
        request.extensions_mut().insert(request_id.clone());
        let logged = async move {
            // The whole of it, so that it is dropped with this future and inside its span.
            let mut line = line;
            let answer = AssertUnwindSafe(inner.call(request)).catch_unwind().await;
            let mut response = answer.unwrap_or_else(|_| {
                // The panic hook has said where. The caller of one call must not lose the others on its connection.
                tracing::error!("a handler panicked");
                Ok(status::of(&Error::Internal, request_id.as_str()).into_http())
            })?;
            // A call that fails says so in the head; one that streams an answer is as good as done.
            let status = Status::from_header_map(response.headers());
            line.code = Some(status.map_or(Code::Ok, |status| status.code()));
            if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
                response.headers_mut().insert(REQUEST_ID_HEADER, value);
            }
            Ok(response)
        };
        Box::pin(logged.instrument(span))
    }
}

/// Written when it is dropped, so that a call whose caller hung up is logged too.
struct Line {
    method: String,
    started: Instant,
    code: Option<Code>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let duration_ms = self.started.elapsed().as_secs_f64() * 1_000.0;
        tracing::info!(rpc.method = self.method, rpc.code = ?code, duration_ms, "rpc");
    }
}
