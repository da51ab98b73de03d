//! Metrics for Prometheus. docs/operations.md describes each metric and the alerts, deploy/grafana/inkbox-imessage.json
//! shows them, and a test keeps the three equal.
//!
//! - Events are counted inline, on series that exist from the start, so that a call costs a few atomic additions.
//! - Gauges of the pool, the queues and the process are sampled at scrape time. This module does not know the parts of the
//!   service: the composition root passes a function that returns a [`Sample`].
//! - Label values come from fixed lists, so that the number of series is bounded and no label can hold a phone number, a
//!   key, an organization or an id.

mod back_fill;
mod calls;
mod carriers;
mod cleanup;
mod endpoint;
mod events;
mod keys;
mod labelled;
mod process;
mod sampled;

pub use back_fill::{BackFillMetrics, BackFillOutcome};
pub use calls::{CallMetrics, CallSeries, InFlight, UNKNOWN, code_name};
pub use carriers::CarrierMetrics;
pub use cleanup::{CleanupMetrics, CleanupOutcome};
pub use endpoint::serve;
pub use events::EventMetrics;
pub use keys::KeyMetrics;
pub use sampled::{PoolSample, Sample};

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::process::ProcessCollector;
use self::sampled::SampledCollector;

/// One label whose values come from a fixed list.
type Label = [(&'static str, &'static str); 1];

/// The metrics that are updated inline. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub calls: Arc<CallMetrics>,
    pub carriers: CarrierMetrics,
    pub keys: KeyMetrics,
    pub cleanup: CleanupMetrics,
    pub events: EventMetrics,
    pub back_fill: BackFillMetrics,
    database_up: Gauge,
}

impl Metrics {
    /// Records whether the database answers.
    pub fn database_is(&self, up: bool) {
        self.database_up.set(up.into());
    }
}

/// The content of a scrape: the inline metrics, and the gauges that are sampled for it.
#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// The exposition of one service that was started at `started`. `sample` is called at each scrape.
    #[must_use]
    pub fn new(
        metrics: &Metrics,
        started: DateTime<Utc>,
        sample: impl Fn() -> Sample + Send + Sync + 'static,
    ) -> Self {
        let mut registry = Registry::default();
        metrics.calls.register(&mut registry);
        metrics.carriers.register(&mut registry);
        metrics.keys.register(&mut registry);
        metrics.cleanup.register(&mut registry);
        metrics.events.register(&mut registry);
        metrics.back_fill.register(&mut registry);
        registry.register(
            "inkbox_database_up",
            "Whether the database answers: 1 or 0",
            metrics.database_up.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("inkbox_build", "The running program", version);
        registry.register_collector(Box::new(SampledCollector::new(sample)));
        registry.register_collector(Box::new(ProcessCollector::new(started)));
        Self { registry }
    }

    /// The metrics as `OpenMetrics` text.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
