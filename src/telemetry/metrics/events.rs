//! The event log and its readers.

use std::time::Duration;

use chrono::TimeDelta;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::error::Error;

/// Upper bounds of the histogram, in seconds: a commit of the same process is delivered within a few milliseconds, one of
/// another process within a quarter of a second.
const LATENCIES: [f64; 12] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone)]
pub struct EventMetrics {
    latency: Histogram,
    expired_cursors: Counter,
    log_length: Gauge,
}

impl Default for EventMetrics {
    fn default() -> Self {
        let latency = Histogram::new(LATENCIES);
        Self { latency, expired_cursors: Counter::default(), log_length: Gauge::default() }
    }
}

impl EventMetrics {
    /// Records that a stream delivered a new event this long after its commit.
    pub fn delivered(&self, latency: TimeDelta) {
        self.latency.observe(latency.to_std().unwrap_or(Duration::ZERO).as_secs_f64());
    }

    /// Counts cursors that have expired, among the errors of readers.
    pub fn failed(&self, error: &Error) {
        if matches!(error, Error::CursorExpired) {
            self.expired_cursors.inc();
        }
    }

    /// Records how many events are kept.
    pub fn log_is(&self, events: u64) {
        self.log_length.set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "inkbox_event_delivery_seconds",
            "Time from the commit of an event to its delivery by a stream",
            self.latency.clone(),
        );
        registry.register(
            "inkbox_event_cursors_expired",
            "Calls and streams whose cursor was older than the kept events",
            self.expired_cursors.clone(),
        );
        registry.register(
            "inkbox_event_log_length",
            "Events that are kept, when the last cleanup looked",
            self.log_length.clone(),
        );
    }
}
