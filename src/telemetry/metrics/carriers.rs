//! Calls to carriers: number, outcome and duration.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Label;

/// Upper bounds of the histogram, in seconds. A carrier takes 0.1 s to 2 s; the default carrier timeout is 10 s.
const DURATIONS: [f64; 11] = [0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    carrier: &'static str,
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    carrier: &'static str,
    action: &'static str,
    outcome: &'static str,
}

/// Metrics of carriers. Cheap to clone. A call to a carrier takes milliseconds at least, so that a look-up of its series
/// does not matter.
#[derive(Debug, Clone)]
pub struct CarrierMetrics {
    calls: Family<OutcomeLabels, Counter>,
    durations: Family<CallLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<Label, Gauge>,
    breakers: Family<Label, Gauge>,
}

impl Default for CarrierMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            in_flight: Family::default(),
            breakers: Family::default(),
        }
    }
}

impl CarrierMetrics {
    /// Counts a finished call to a carrier. `carrier`, `action` and `outcome` must come from fixed lists.
    pub fn line_call(
        &self,
        carrier: &'static str,
        action: &'static str,
        outcome: &'static str,
        seconds: f64,
    ) {
        self.calls.get_or_create(&OutcomeLabels { carrier, action, outcome }).inc();
        self.durations.get_or_create(&CallLabels { carrier, action }).observe(seconds);
    }

    /// Records whether the circuit breaker of a carrier is open.
    pub fn breaker_is(&self, carrier: &'static str, open: bool) {
        self.breakers.get_or_create(&[("carrier", carrier)]).set(open.into());
    }

    /// The number of calls to a carrier in progress; the caller increments and decrements it.
    pub(crate) fn in_flight(&self, carrier: &'static str) -> Gauge {
        self.in_flight.get_or_create_owned(&[("carrier", carrier)])
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("inkbox_line_calls", "Calls of carriers that ended", self.calls.clone());
        registry.register(
            "inkbox_line_call_duration_seconds",
            "How long calls of carriers took",
            self.durations.clone(),
        );
        registry.register(
            "inkbox_line_calls_in_flight",
            "Calls of carriers under way",
            self.in_flight.clone(),
        );
        registry.register(
            "inkbox_line_breaker_open",
            "Whether a carrier is not called for a while because it failed: 1 or 0",
            self.breakers.clone(),
        );
    }
}
