//! One log line per call, its metrics, its trace, and the request id that ties a caller's report to it.
//!
//! A call ends with the last byte of its answer, so the line is written by whoever holds the answer's body then; a
//! call whose caller hung up ends as `Cancelled` wherever it stands. The line's fields are described in
//! docs/operations.md. Never a body, a key, a phone number; nor a path that we do not serve, which is the caller's own
//! words.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Extensions, HeaderName, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field};

use crate::clock::Clock;
use crate::domain::Principal;
use crate::error::Error;
use crate::grpc::wire::status;
use crate::telemetry::metrics::{CallMetrics, InFlight, code_name};
use crate::telemetry::trace;

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

/// The span around the call's log line.
#[derive(Clone)]
struct LogSpan(Span);

/// Puts the caller into the call's log line.
pub(in crate::grpc) fn record_caller(call: &Extensions, principal: &Principal) {
    let Some(LogSpan(span)) = call.get() else { return };
    let organization = match principal {
        Principal::Tenant(tenant) => Some(tenant.organization_id.as_str()),
        Principal::Router { .. } => None,
    };
    tracing::record_all!(span, organization.id = organization, key.id = %principal.key_id());
}

/// Logs and counts every call and gives it its request id.
#[derive(Clone)]
pub struct AccessLogLayer {
    clock: Arc<dyn Clock>,
    calls: Arc<CallMetrics>,
}

impl AccessLogLayer {
    /// A layer that takes fresh ids from this clock and counts here.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, calls: Arc<CallMetrics>) -> Self {
        Self { clock, calls }
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog { layer: self.clone(), inner }
    }
}

/// The service that [`AccessLogLayer`] makes.
#[derive(Clone)]
pub struct AccessLog<S> {
    layer: AccessLogLayer,
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
        let request_id = RequestId::of(&request, &*self.layer.clock);
        let line = Line::begin(&request, &request_id, &self.layer.calls);
        request.extensions_mut().insert(request_id.clone());
        request.extensions_mut().insert(LogSpan(line.log.clone()));
        let (log, exported) = (line.log.clone(), line.exported.clone());
        let logged = async move {
            // The whole of it, so that it is dropped with this future and inside its span.
            let mut line = line;
            let answer = AssertUnwindSafe(inner.call(request)).catch_unwind().await;
            let mut response = answer.unwrap_or_else(|_| {
                // The panic hook has said where. The caller of one call must not lose the others on its connection.
                tracing::error!("a handler panicked");
                line.calls.panicked();
                Ok(status::from_error(&Error::Internal, request_id.as_str()).into_http())
            })?;
            if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
                response.headers_mut().insert(REQUEST_ID_HEADER, value);
            }
            if let Some(status) = Status::from_header_map(response.headers()) {
                line.outcome = Some(status);
            }
            Ok(response.map(|body| Body::new(LoggedBody::new(body, line))))
        };
        Box::pin(logged.instrument(exported).instrument(log))
    }
}

/// The body of an answer, with the log line that is written at its end.
struct LoggedBody {
    inner: Body,
    line: Option<Line>,
}

impl LoggedBody {
    fn new(inner: Body, mut line: Line) -> Self {
        // An answer that is whole with its head is not asked for its body any more. gRPC has no such answer without a
        // status, so one that has none is no gRPC.
        if http_body::Body::is_end_stream(&inner) {
            line.outcome.get_or_insert_with(status::missing);
        }
        let line = line.outcome.is_none().then_some(line);
        Self { inner, line }
    }
}

impl http_body::Body for LoggedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let inner = Pin::new(&mut this.inner);
        let frame = match &this.line {
            Some(line) => line.log.in_scope(|| line.exported.in_scope(|| inner.poll_frame(context))),
            None => inner.poll_frame(context),
        };
        let frame = ready!(frame);
        let outcome = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().and_then(Status::from_header_map),
            Some(Err(status)) => Some(status.clone()),
            None => Some(status::missing()),
        };
        if outcome.is_some()
            && let Some(mut line) = this.line.take()
        {
            line.outcome = outcome;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Written when it is dropped, so that a call whose caller hung up is logged too.
struct Line {
    call: InFlight,
    calls: Arc<CallMetrics>,
    started: Instant,
    /// How the call ended, once it has.
    outcome: Option<Status>,
    /// The span of the log line. It is there at every level, so that warnings keep their request id.
    log: Span,
    /// The span of the trace.
    exported: Span,
}

impl Line {
    fn begin(request: &Request<Body>, request_id: &RequestId, calls: &Arc<CallMetrics>) -> Self {
        let call = calls.of(request.uri().path()).begin();
        let log = tracing::error_span!(
            "rpc",
            request.id = request_id.as_str(),
            trace.id = field::Empty,
            organization.id = field::Empty,
            key.id = field::Empty
        );
        let series = call.series();
        let exported = tracing::debug_span!(
            target: trace::TARGET,
            parent: &log,
            "rpc",
            otel.name = series.path.trim_start_matches('/'),
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = series.service,
            rpc.method = series.method,
            rpc.grpc.status_code = field::Empty,
            request.id = request_id.as_str(),
        );
        if let Some(id) = trace::continued(request.headers(), &log, &exported) {
            log.record("trace.id", id);
        }
        Self { call, calls: calls.clone(), started: Instant::now(), outcome: None, log, exported }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let code = self.outcome.as_ref().map_or(Code::Cancelled, Status::code);
        let reason = self.outcome.as_ref().and_then(StatusExt::get_details_error_info);
        let reason = reason.map(|info| info.reason);
        if let Some(reason) = &reason {
            self.calls.failed(reason);
        }
        let took = self.started.elapsed();
        self.call.ended(code, took);
        self.exported.record("rpc.grpc.status_code", i32::from(code));
        if is_ours(code) {
            trace::failed(&self.exported);
        }
        tracing::info!(
            parent: &self.log,
            rpc.method = self.call.series().path,
            rpc.code = %code_name(code),
            rpc.reason = reason,
            duration_ms = took.as_secs_f64() * 1_000.0,
            "rpc"
        );
    }
}

/// Whether a code tells of a fault on this side (OpenTelemetry's conventions for gRPC servers).
const fn is_ours(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
