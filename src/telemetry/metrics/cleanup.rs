//! Runs of the background cleanup.

use chrono::{DateTime, Utc};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labelled::ByLabel;

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanupOutcome {
    /// Everything that had expired was removed.
    Done,
    /// Something could not be removed.
    Failed,
    /// The run did not begin, because the machine's clock is wrong.
    Skipped,
}

#[derive(Debug, Clone, Default)]
pub struct CleanupMetrics {
    done: Counter,
    failed: Counter,
    skipped: Counter,
    /// Seconds since 1970; 0 before the first success.
    last_success: Gauge,
}

impl CleanupMetrics {
    /// Counts a run that ended at `now`.
    pub fn record(&self, outcome: CleanupOutcome, now: DateTime<Utc>) {
        match outcome {
            CleanupOutcome::Done => {
                self.done.inc();
                self.last_success.set(now.timestamp());
            }
            CleanupOutcome::Failed => {
                self.failed.inc();
            }
            CleanupOutcome::Skipped => {
                self.skipped.inc();
            }
        }
    }

    /// Registers each metric under its name and under the name of earlier releases.
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help) in [
            ("inkbox_cleanup_runs", "Runs of the background cleanup, by outcome"),
            ("inkbox_sweeps", "Sweeps of what has had its time"),
        ] {
            let Self { done, failed, skipped, .. } = self.clone();
            let series = [("done", done), ("failed", failed), ("skipped", skipped)];
            let runs = ByLabel { label: "outcome", series };
            registry.register(name, help, runs);
        }
        for (name, help) in [
            (
                "inkbox_cleanup_last_success_timestamp_seconds",
                "When the background cleanup last succeeded, 0 before the first time",
            ),
            (
                "inkbox_sweep_last_success_timestamp_seconds",
                "When a sweep last ended well, 0 before the first",
            ),
        ] {
            registry.register(name, help, self.last_success.clone());
        }
    }
}
