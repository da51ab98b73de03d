//! The access log: one record per call, with its metrics, its trace span and its request id.
//!
//! A call ends with the last byte of its response, so the record is written when the response body ends. If the client
//! disconnects first, the record is written on drop, with code `Cancelled`. docs/operations.md describes the fields. A
//! record never has message bodies, keys or phone numbers, nor a path that is not served, because clients choose it.

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
use tracing::{Instrument as _, Span, field};

use crate::clock::Clock;
use crate::domain::Principal;
use crate::error::Error;
use crate::grpc::middleware::layer::{Inner, Middleware, MiddlewareLayer};
use crate::grpc::wire::extensions::RequestId;
use crate::grpc::wire::status;
use crate::telemetry::metrics::{CallMetrics, InFlight, code_name};
use crate::telemetry::trace;

/// Metadata of every request and response.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The service that probes call.
const HEALTH_SERVICE: &str = "grpc.health.v1.Health";
/// Maximum length of an id that a client chooses.
const MAX_REQUEST_ID_CHARACTERS: usize = 128;

/// The client's own id, if it is 1 to 128 visible ASCII characters; else a new one.
fn request_id(request: &Request<Body>, clock: &dyn Clock) -> RequestId {
    let from_client = request.headers().get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    let is_valid = |id: &&str| {
        (1..=MAX_REQUEST_ID_CHARACTERS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
    };
    from_client.filter(is_valid).map_or_else(|| clock.new_id().to_string().into(), Into::into)
}

/// The span of the log record, in the request's extensions for [`record_caller`].
#[derive(Clone)]
struct LogSpan(Span);

/// Adds the caller to the call's log record.
pub(in crate::grpc) fn record_caller(extensions: &Extensions, principal: &Principal) {
    let Some(LogSpan(span)) = extensions.get() else { return };
    let organization = match principal {
        Principal::Tenant(tenant) => Some(tenant.organization_id.as_str()),
        Principal::Router { .. } => None,
    };
    tracing::record_all!(span, organization.id = organization, key.id = %principal.key_id());
}

/// Assigns the request id, and logs and counts every call.
pub struct AccessLog {
    clock: Arc<dyn Clock>,
    calls: Arc<CallMetrics>,
}

pub type AccessLogLayer = MiddlewareLayer<AccessLog>;

impl AccessLogLayer {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, calls: Arc<CallMetrics>) -> Self {
        Self::of(AccessLog { clock, calls })
    }
}

impl Middleware for AccessLog {
    fn call<S: Inner>(
        self: Arc<Self>,
        mut request: Request<Body>,
        mut inner: S,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send {
        let request_id = request_id(&request, &*self.clock);
        let record = CallRecord::start(&request, &request_id, &self.calls);
        request.extensions_mut().insert(request_id.clone());
        request.extensions_mut().insert(LogSpan(record.log_span.clone()));
        let (log_span, trace_span) = (record.log_span.clone(), record.trace_span.clone());
        let logged = async move {
            // Moves the whole record into this future, so that it is dropped with the future and inside its span.
            let mut record = record;
            let response = AssertUnwindSafe(inner.call(request)).catch_unwind().await;
            let mut response = response.unwrap_or_else(|_| {
                // The panic hook has logged the panic. Other calls on the connection must not fail with this one.
                tracing::error!("a handler panicked");
                record.calls.panicked();
                Ok(status::from_error(&Error::Internal, request_id.as_str()).into_http())
            })?;
            if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
                response.headers_mut().insert(REQUEST_ID_HEADER, value);
            }
            if let Some(status) = Status::from_header_map(response.headers()) {
                record.outcome = Some(status);
            }
            Ok(response.map(|body| Body::new(LoggedBody::new(body, record))))
        };
        logged.instrument(trace_span).instrument(log_span)
    }
}

/// A response body that writes the record at its end.
struct LoggedBody {
    inner: Body,
    record: Option<CallRecord>,
}

impl LoggedBody {
    fn new(inner: Body, mut record: CallRecord) -> Self {
        // The body of a response that consists of headers only is never polled. In gRPC, such a response has a status.
        if http_body::Body::is_end_stream(&inner) {
            record.outcome.get_or_insert_with(status::missing);
        }
        let record = record.outcome.is_none().then_some(record);
        Self { inner, record }
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
        let frame = match &this.record {
            Some(record) => {
                record.log_span.in_scope(|| record.trace_span.in_scope(|| inner.poll_frame(context)))
            }
            None => inner.poll_frame(context),
        };
        let frame = ready!(frame);
        let outcome = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().and_then(Status::from_header_map),
            Some(Err(status)) => Some(status.clone()),
            None => Some(status::missing()),
        };
        if outcome.is_some()
            && let Some(mut record) = this.record.take()
        {
            record.outcome = outcome;
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

/// The record of a call. Dropping it writes it, so that calls of disconnected clients are logged, too.
struct CallRecord {
    call: InFlight,
    calls: Arc<CallMetrics>,
    started: Instant,
    /// `None` until the call has ended.
    outcome: Option<Status>,
    /// The span of the log record. Enabled at every log level, so that warnings have a request id.
    log_span: Span,
    trace_span: Span,
}

impl CallRecord {
    fn start(request: &Request<Body>, request_id: &RequestId, calls: &Arc<CallMetrics>) -> Self {
        let call = calls.of(request.uri().path()).begin();
        let log_span = tracing::error_span!(
            "rpc",
            request.id = request_id.as_str(),
            trace.id = field::Empty,
            organization.id = field::Empty,
            key.id = field::Empty
        );
        let series = call.series();
        let trace_span = tracing::debug_span!(
            target: trace::TARGET,
            parent: &log_span,
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
        if let Some(id) = trace::continued(request.headers(), &log_span, &trace_span) {
            log_span.record("trace.id", id);
        }
        Self { call, calls: calls.clone(), started: Instant::now(), outcome: None, log_span, trace_span }
    }
}

impl CallRecord {
    fn write(&self, code: Code, reason: Option<&str>, milliseconds: f64) {
        let series = self.call.series();
        // Probes that succeed would be most of the log of a quiet service.
        if code == Code::Ok && series.service == HEALTH_SERVICE {
            tracing::debug!(
                parent: &self.log_span,
                rpc.method = series.path,
                rpc.code = %code_name(code),
                rpc.reason = reason,
                duration_ms = milliseconds,
                "rpc"
            );
        } else {
            tracing::info!(
                parent: &self.log_span,
                rpc.method = series.path,
                rpc.code = %code_name(code),
                rpc.reason = reason,
                duration_ms = milliseconds,
                "rpc"
            );
        }
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        let code = self.outcome.as_ref().map_or(Code::Cancelled, Status::code);
        let reason = self.outcome.as_ref().and_then(StatusExt::get_details_error_info);
        let reason = reason.map(|info| info.reason);
        if let Some(reason) = &reason {
            self.calls.failed(reason);
        }
        let duration = self.started.elapsed();
        self.call.ended(code, duration);
        self.trace_span.record("rpc.grpc.status_code", i32::from(code));
        if is_server_fault(code) {
            trace::failed(&self.trace_span);
        }
        self.write(code, reason.as_deref(), duration.as_secs_f64() * 1_000.0);
    }
}

/// Whether a code reports a fault of the server, by OpenTelemetry's conventions for gRPC servers.
const fn is_server_fault(code: Code) -> bool {
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
