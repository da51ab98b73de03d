//! Spans, and the propagation of traces from callers to carriers (W3C Trace Context).
//!
//! Spans for traces have a separate target, which the log does not show at its default level: without an export they are
//! never created. Even then, the log shows the caller's trace id, and `traceparent` is passed on unchanged.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::registry::{LookupSpan as _, Registry};

/// Target of every span that exists only for traces.
pub const TARGET: &str = "inkbox_imessage::trace";
const TRACEPARENT: &str = "traceparent";

/// The caller's trace, stored in the span of the call's log line while spans are not exported.
struct CallerContext(Context);

/// Makes the spans of a call part of the trace that its request names, and returns the trace id. `log` is the span of the
/// call's log line, `exported` the one for traces.
pub(crate) fn continued(headers: &HeaderMap, log: &Span, exported: &Span) -> Option<String> {
    let parent = headers
        .contains_key(TRACEPARENT)
        .then(|| TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers)))
        .filter(|parent| parent.span().span_context().is_valid());
    if !exported.is_disabled() {
        if let Some(parent) = &parent {
            // Fails if only the log shows the span; then there is no trace to continue.
            let _ = exported.set_parent(parent.clone());
        }
        let id = trace_id(&exported.context());
        if id.is_some() {
            return id;
        }
    }
    let parent = parent?;
    let id = trace_id(&parent);
    log.with_subscriber(|(span, subscriber)| {
        if let Some(span) = subscriber.downcast_ref::<Registry>().and_then(|spans| spans.span(span)) {
            span.extensions_mut().insert(CallerContext(parent));
        }
    });
    id
}

/// The headers (`traceparent`, `tracestate`) that continue the trace of the current span in a call to another service.
/// Empty if there is no trace.
#[must_use]
pub fn outgoing_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let span = Span::current();
    let context = span.context();
    let context =
        if context.span().span_context().is_valid() { Some(context) } else { caller_context(&span) };
    if let Some(context) = context {
        TraceContextPropagator::new().inject_context(&context, &mut HeadersMut(&mut headers));
    }
    headers
}

fn caller_context(span: &Span) -> Option<Context> {
    span.with_subscriber(|(id, subscriber)| {
        let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
        span.scope().find_map(|span| span.extensions().get::<CallerContext>().map(|caller| caller.0.clone()))
    })?
}

fn trace_id(context: &Context) -> Option<String> {
    let span = context.span();
    let known = span.span_context();
    known.is_valid().then(|| known.trace_id().to_string())
}

/// The span of a database operation. The name contains no statement and no value; `tests/integration/store/spans.rs`
/// lists all names.
pub(crate) fn store_span(name: &'static str) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "store",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = field::Empty,
        db.system.name = "postgresql",
    )
}

/// Marks a span as failed.
pub(crate) fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let pair = (HeaderName::try_from(key), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::{TARGET, continued, outgoing_headers};

    const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
    const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn from_caller(traceparent: &'static str) -> HeaderMap {
        let state = ("tracestate", HeaderValue::from_static("congo=t61rcWkgMzE"));
        [("traceparent", HeaderValue::from_static(traceparent)), state]
            .into_iter()
            .map(|(name, value)| (name.parse().expect("a header"), value))
            .collect()
    }

    /// What goes out from deep within a call with these headers, and the id that its log line has.
    fn goes_out(headers: &HeaderMap) -> (HeaderMap, Option<String>) {
        let log = tracing::error_span!("rpc");
        let exported = tracing::debug_span!(target: TARGET, parent: &log, "rpc");
        let id = continued(headers, &log, &exported);
        let out =
            log.in_scope(|| exported.in_scope(|| tracing::info_span!("deeper").in_scope(outgoing_headers)));
        (out, id)
    }

    #[test]
    fn a_trace_is_handed_on_unchanged_where_nothing_is_exported() {
        let subscriber = tracing_subscriber::registry().with(tracing_subscriber::filter::LevelFilter::INFO);
        tracing::subscriber::with_default(subscriber, || {
            let headers = from_caller(CALLERS);
            assert_eq!(goes_out(&headers), (headers, Some(TRACE_ID.to_owned())));
            assert_eq!(goes_out(&HeaderMap::new()), (HeaderMap::new(), None));
            for bad in ["", "nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
                assert_eq!(goes_out(&from_caller(bad)), (HeaderMap::new(), None), "{bad}");
            }
            assert_eq!(outgoing_headers(), HeaderMap::new());
        });
    }

    #[test]
    fn a_trace_goes_on_from_our_own_span_where_it_is_exported() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let (out, id) = goes_out(&from_caller(CALLERS));
            assert_eq!(id.as_deref(), Some(TRACE_ID));
            let traceparent = out["traceparent"].to_str().expect("text");
            let parts: Vec<_> = traceparent.split('-').collect();
            assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE_ID, "01"));
            assert_ne!(parts[2], "b7ad6b7169203331", "the span is ours");
            assert_eq!(out["tracestate"], "congo=t61rcWkgMzE");

            let (out, id) = goes_out(&HeaderMap::new());
            let id = id.expect("a trace of our own");
            assert!(out["traceparent"].to_str().expect("text").contains(&id));
        });
    }
}
