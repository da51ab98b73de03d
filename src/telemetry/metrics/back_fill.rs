//! Fetching from carriers what their webhooks did not deliver.

use chrono::{DateTime, Utc};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labelled::ByLabel;

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackFillOutcome {
    /// The messages of every line were fetched.
    Done,
    /// Another process is fetching those of some lines.
    Busy,
    /// Those of some lines were not fetched. A later run fetches them.
    Failed,
}

#[derive(Debug, Clone, Default)]
pub struct BackFillMetrics {
    done: Counter,
    busy: Counter,
    failed: Counter,
    found: Counter,
    /// Seconds since 1970; 0 without a line.
    oldest: Gauge,
}

impl BackFillMetrics {
    /// Counts a run, and the messages that it found.
    pub fn record(&self, outcome: BackFillOutcome, found: u64) {
        match outcome {
            BackFillOutcome::Done => self.done.inc(),
            BackFillOutcome::Busy => self.busy.inc(),
            BackFillOutcome::Failed => self.failed.inc(),
        };
        self.found.inc_by(found);
    }

    /// Records up to when the messages of every line were fetched.
    pub fn oldest_is(&self, oldest: Option<DateTime<Utc>>) {
        self.oldest.set(oldest.map_or(0, |oldest| oldest.timestamp()));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { done, busy, failed, found, oldest } = self.clone();
        let runs = ByLabel { label: "outcome", series: [("done", done), ("busy", busy), ("failed", failed)] };
        registry.register(
            "inkbox_back_fill_runs",
            "Runs that fetch messages from carriers, by outcome",
            runs,
        );
        registry.register(
            "inkbox_back_fill_messages",
            "Messages that were fetched and that no webhook had delivered",
            found,
        );
        registry.register(
            "inkbox_back_fill_position_timestamp_seconds",
            "Up to when the messages of every line were fetched, 0 without a line",
            oldest,
        );
    }
}
