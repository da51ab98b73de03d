//! A [`Carrier`] decorator that records metrics and traces.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use prometheus_client::metrics::gauge::Gauge;
use tracing::{Instrument as _, field};

use super::Thread;
use super::carrier::{Accepted, Action, Carrier, ListRequest, ListedPage, LookupMatch, OutboundMessage};
use super::error::CarrierError;
use crate::domain::PhoneNumber;
use crate::telemetry::metrics::CarrierMetrics;
use crate::telemetry::trace;

/// Label value of a lookup; the other actions are named by [`Action::name`].
const LOOKUP: &str = "look_up";
/// Label value of a page of a line's records.
const LIST: &str = "list";
/// Label value of a call whose future was dropped before its end.
const ABANDONED: &str = "abandoned";

pub(super) struct Instrumented {
    name: &'static str,
    carrier: Arc<dyn Carrier>,
    metrics: CarrierMetrics,
}

impl Instrumented {
    /// `name` is the carrier's name in metrics and traces.
    pub(super) const fn new(name: &'static str, carrier: Arc<dyn Carrier>, metrics: CarrierMetrics) -> Self {
        Self { name, carrier, metrics }
    }

    fn observe<'a, T: Send + 'a>(
        &'a self,
        action: &'static str,
        call: BoxFuture<'a, Result<T, CarrierError>>,
    ) -> impl Future<Output = Result<T, CarrierError>> + Send + 'a {
        let carrier = self.name;
        let span = tracing::debug_span!(
            target: trace::TARGET,
            "line_call",
            otel.name = %format_args!("line {action}"),
            otel.kind = "client",
            otel.status_code = field::Empty,
            line.carrier = carrier,
            line.action = action,
            line.outcome = field::Empty,
        );
        let call_span = span.clone();
        let in_flight = self.metrics.in_flight(carrier);
        let observed = async move {
            in_flight.inc();
            let started = Instant::now();
            let mut record = CallRecord {
                metrics: &self.metrics,
                carrier,
                action,
                started,
                outcome: ABANDONED,
                in_flight,
            };
            let result = call.await;
            record.outcome = outcome(&result);
            call_span.record("line.outcome", record.outcome);
            if result.is_err() {
                trace::failed(&call_span);
            }
            result
        };
        observed.instrument(span)
    }
}

impl Carrier for Instrumented {
    fn supports(&self, action: Action<'_>) -> bool {
        self.carrier.supports(action)
    }

    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, CarrierError>> {
        Box::pin(self.observe(action.name(), self.carrier.perform(thread, action)))
    }

    fn lookup<'a>(
        &'a self,
        thread: &'a Thread,
        message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<LookupMatch>, CarrierError>> {
        Box::pin(self.observe(LOOKUP, self.carrier.lookup(thread, message)))
    }

    fn list<'a>(
        &'a self,
        line: &'a PhoneNumber,
        page: ListRequest,
    ) -> BoxFuture<'a, Result<ListedPage, CarrierError>> {
        Box::pin(self.observe(LIST, self.carrier.list(line, page)))
    }

    fn typing_renewal(&self) -> Duration {
        self.carrier.typing_renewal()
    }

    fn serves(&self, line: &PhoneNumber) -> bool {
        self.carrier.serves(line)
    }

    fn breaker_is_open(&self) -> bool {
        self.carrier.breaker_is_open()
    }
}

/// Recorded on drop, so that a cancelled call is counted too.
struct CallRecord<'a> {
    metrics: &'a CarrierMetrics,
    carrier: &'static str,
    action: &'static str,
    started: Instant,
    outcome: &'static str,
    in_flight: Gauge,
}

impl Drop for CallRecord<'_> {
    fn drop(&mut self) {
        self.in_flight.dec();
        let seconds = self.started.elapsed().as_secs_f64();
        self.metrics.line_call(self.carrier, self.action, self.outcome, seconds);
    }
}

/// The label value of a result.
const fn outcome<T>(result: &Result<T, CarrierError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(CarrierError::Rejected(_) | CarrierError::Unsupported) => "refused",
        Err(CarrierError::Transient { .. }) => "failed",
        Err(CarrierError::Unknown) => "unknown",
    }
}
