//! What the service counts, for Prometheus. Every metric, its meaning and the alerts worth having are described in
//! docs/operations.md, and shown by deploy/grafana/inkbox-imessage.json; a test keeps the three equal.
//!
//! What happens is counted where it happens, on series that exist from the start, so that a call costs a few atomic
//! additions. What merely is (pool, lanes, process) is read when somebody scrapes. No label ever holds a number, a key,
//! an organization or an id: labels come from fixed lists, so that their number is bounded and nothing private leaks.

mod calls;
mod carriers;
mod endpoint;
mod process;
mod state;

pub use calls::{CallMetrics, CallSeries, InFlight, UNKNOWN, code_name};
pub use carriers::CarrierMetrics;
pub use endpoint::serve;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::state::Fixed;
use crate::app::App;
use crate::auth::KeyCache;
use crate::error::Error;

/// One label whose values come from a fixed list.
type Label = [(&'static str, &'static str); 1];

/// Everything that is counted where it happens. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Calls of the contract.
    pub calls: Arc<CallMetrics>,
    /// Calls of carriers.
    pub lines: CarrierMetrics,
    /// Look-ups of keys.
    pub keys: KeyMetrics,
    /// Background sweeps.
    pub sweeps: SweepMetrics,
    /// 1 while the database answers.
    database_up: Gauge,
}

impl Metrics {
    /// Notes whether the database answers.
    pub fn database_is(&self, up: bool) {
        self.database_up.set(up.into());
    }
}

/// How often a key was known without asking the database.
#[derive(Debug, Clone, Default)]
pub struct KeyMetrics {
    hits: Counter,
    misses: Counter,
}

impl KeyMetrics {
    /// The key was remembered.
    pub fn hit(&self) {
        self.hits.inc();
    }

    /// The database was asked.
    pub fn miss(&self) {
        self.misses.inc();
    }
}

/// How sweeps ended.
#[derive(Debug, Clone, Default)]
pub struct SweepMetrics {
    done: Counter,
    failed: Counter,
    last_done: Gauge,
}

impl SweepMetrics {
    /// A sweep ended.
    pub fn ended(&self, result: &Result<(), Error>, now: DateTime<Utc>) {
        if result.is_err() {
            self.failed.inc();
        } else {
            self.done.inc();
            self.last_done.set(now.timestamp());
        }
    }
}

/// What a scrape shows: the counters, and the parts of the service that are asked at that moment.
#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// Of one service. `calls_limit`: how many calls it takes at once.
    #[must_use]
    pub fn new(app: &App, keys: &KeyCache, calls_limit: usize) -> Self {
        let metrics = &app.metrics;
        let mut registry = Registry::default();
        metrics.calls.register(&mut registry);
        metrics.lines.register(&mut registry);
        let KeyMetrics { hits, misses } = metrics.keys.clone();
        let lookups = Fixed { label: "result", series: [("hit", hits), ("miss", misses)] };
        registry.register("inkbox_key_cache_lookups", "Look-ups of API keys in memory", lookups);
        let SweepMetrics { done, failed, last_done } = metrics.sweeps.clone();
        let sweeps = Fixed { label: "outcome", series: [("done", done), ("failed", failed)] };
        registry.register("inkbox_sweeps", "Sweeps of what has had its time", sweeps);
        registry.register(
            "inkbox_sweep_last_success_timestamp_seconds",
            "When a sweep last ended well, 0 before the first",
            last_done,
        );
        registry.register(
            "inkbox_database_up",
            "Whether the database answers: 1 or 0",
            metrics.database_up.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("inkbox_build", "The running program", version);
        registry.register_collector(Box::new(state::StateCollector::new(app, keys, calls_limit)));
        registry.register_collector(Box::new(process::ProcessCollector::new(app.clock.now())));
        Self { registry }
    }

    /// All of it as `OpenMetrics` text.
    ///
    /// # Errors
    /// Never in practice: a string takes whatever is written to it.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
