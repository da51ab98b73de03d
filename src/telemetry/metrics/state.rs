//! What is read at the moment of a scrape, and costs nothing between scrapes.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::auth::KeyCache;
use crate::carriers::ConversationQueues;
use crate::store::Database;

/// Asks the parts of the service.
pub(super) struct StateCollector {
    db: Database,
    keys: KeyCache,
    lanes: Arc<ConversationQueues>,
    tasks: TaskTracker,
    calls_limit: usize,
}

impl StateCollector {
    pub(super) fn new(app: &App, keys: &KeyCache, calls_limit: usize) -> Self {
        Self {
            db: app.db.clone(),
            keys: keys.clone(),
            lanes: app.queues.clone(),
            tasks: app.tasks.clone(),
            calls_limit,
        }
    }
}

impl fmt::Debug for StateCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StateCollector").finish_non_exhaustive()
    }
}

impl Collector for StateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name, help, value: usize| write(&mut encoder, name, help, &ConstGauge::new(value));
        gauge(
            "inkbox_grpc_requests_limit",
            "Most calls at once; health and reflection not counted",
            self.calls_limit,
        )?;
        gauge("inkbox_key_cache_entries", "API keys in memory", self.keys.cached_keys())?;
        let pool = self.db.pool_state();
        gauge("inkbox_database_sessions_limit", "Most sessions with the database", pool.most)?;
        gauge("inkbox_database_sessions_waiting", "Callers that wait for a session", pool.waiting)?;
        let lanes = self.lanes.stats();
        gauge("inkbox_lanes_busy", "Conversations with a call to their phone under way", lanes.busy)?;
        gauge(
            "inkbox_lane_calls_waiting",
            "Calls that wait for an earlier one on their conversation",
            lanes.waiting,
        )?;
        gauge("inkbox_background_tasks", "Work that goes on without its caller", self.tasks.len())?;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            gauge("inkbox_runtime_tasks", "Tasks: connections, calls, and what runs all the time", tasks)?;
        }
        let sessions = Fixed {
            label: "state",
            series: [("in_use", ConstGauge::new(pool.in_use)), ("idle", ConstGauge::new(pool.idle))],
        };
        write(&mut encoder, "inkbox_database_sessions", "Open sessions with the database", &sessions)?;
        let opened = ConstCounter::new(pool.opened);
        write(&mut encoder, "inkbox_database_sessions_opened", "Sessions that were opened", &opened)
    }
}

/// Writes one metric.
pub(super) fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// A metric with one label of two values, whose series are kept apart elsewhere.
#[derive(Debug)]
pub(super) struct Fixed<M> {
    pub(super) label: &'static str,
    pub(super) series: [(&'static str, M); 2],
}

impl<M: EncodeMetric> EncodeMetric for Fixed<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, metric) in &self.series {
            metric.encode(encoder.encode_family(&[(self.label, *value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.series[0].1.metric_type()
    }
}
