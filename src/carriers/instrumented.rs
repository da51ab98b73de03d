//! A carrier whose calls are counted and traced.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use prometheus_client::metrics::gauge::Gauge;
use tracing::{Instrument as _, field};

use crate::carriers::{Accepted, Action, Carrier, CarrierError, Found, OutboundMessage, Thread};
use crate::domain::PhoneNumber;
use crate::telemetry::metrics::CarrierMetrics;
use crate::telemetry::trace;

/// The name of a question about a message that was sent.
const LOOK_UP: &str = "look_up";
/// What a call came to when nobody waited for its end.
const ABANDONED: &str = "abandoned";

/// A carrier, observed.
pub(super) struct Instrumented {
    carrier: &'static str,
    line: Arc<dyn Carrier>,
    metrics: CarrierMetrics,
}

impl Instrumented {
    /// A carrier under the name that it has in metrics and traces.
    pub(super) const fn new(carrier: &'static str, line: Arc<dyn Carrier>, metrics: CarrierMetrics) -> Self {
        Self { carrier, line, metrics }
    }

    fn observe<'a, T: Send + 'a>(
        &'a self,
        name: &'static str,
        call: BoxFuture<'a, Result<T, CarrierError>>,
    ) -> impl Future<Output = Result<T, CarrierError>> + Send + 'a {
        let carrier = self.carrier;
        let span = tracing::debug_span!(
            target: trace::TARGET,
            "line_call",
            otel.name = %format_args!("line {name}"),
            otel.kind = "client",
            otel.status_code = field::Empty,
            line.carrier = carrier,
            line.action = name,
            line.outcome = field::Empty,
        );
        let noted = span.clone();
        let in_flight = self.metrics.in_flight(carrier);
        let observed = async move {
            in_flight.inc();
            let began = Instant::now();
            let mut noting =
                Call { line: &self.metrics, carrier, name, began, outcome: ABANDONED, in_flight };
            let answer = call.await;
            noting.outcome = outcome(&answer);
            noted.record("line.outcome", noting.outcome);
            if answer.is_err() {
                trace::failed(&noted);
            }
            answer
        };
        observed.instrument(span)
    }
}

impl Carrier for Instrumented {
    fn supports(&self, action: Action<'_>) -> bool {
        self.line.supports(action)
    }

    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, CarrierError>> {
        Box::pin(self.observe(action.name(), self.line.perform(thread, action)))
    }

    fn look_up<'a>(
        &'a self,
        thread: &'a Thread,
        message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<Found>, CarrierError>> {
        Box::pin(self.observe(LOOK_UP, self.line.look_up(thread, message)))
    }

    fn serves(&self, number: &PhoneNumber) -> bool {
        self.line.serves(number)
    }

    fn is_cut_off(&self) -> bool {
        self.line.is_cut_off()
    }
}

/// Counted when it is dropped, so that a call that is given up half way counts too.
struct Call<'a> {
    line: &'a CarrierMetrics,
    carrier: &'static str,
    name: &'static str,
    began: Instant,
    outcome: &'static str,
    in_flight: Gauge,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.in_flight.dec();
        self.line.line_call(self.carrier, self.name, self.outcome, self.began.elapsed().as_secs_f64());
    }
}

const fn outcome<T>(answer: &Result<T, CarrierError>) -> &'static str {
    match answer {
        Ok(_) => "accepted",
        Err(CarrierError::Refused(_) | CarrierError::Unsupported) => "refused",
        Err(CarrierError::Passing { .. }) => "failed",
        Err(CarrierError::Unknown) => "unknown",
    }
}
