//! Gauges that are sampled at the moment of a scrape, and cost nothing between scrapes.

use std::fmt;

use chrono::TimeDelta;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::labelled::ByLabel;

/// The load of the service at one moment. The composition root reads it from the parts of the service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Maximum number of concurrent calls.
    pub max_concurrent_calls: usize,
    pub cached_keys: usize,
    pub pool: PoolSample,
    /// Conversations with a carrier call in progress.
    pub queues_busy: usize,
    /// Carrier calls that wait for an earlier call of the same conversation.
    pub queue_waiting: usize,
    /// Tasks that outlive the call that started them.
    pub background_tasks: usize,
    /// How far the machine's clock is ahead of the database's.
    pub clock_skew: TimeDelta,
    /// Streams of events, and calls that wait for an event.
    pub event_streams: usize,
}

/// The database pool at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct PoolSample {
    /// Maximum number of sessions.
    pub max_sessions: usize,
    pub in_use: usize,
    pub idle: usize,
    /// Callers that wait for a session.
    pub waiting: usize,
    /// Sessions opened since the start.
    pub opened: u64,
}

pub(super) struct SampledCollector<F> {
    sample: F,
}

impl<F: Fn() -> Sample> SampledCollector<F> {
    pub(super) const fn new(sample: F) -> Self {
        Self { sample }
    }
}

impl<F> fmt::Debug for SampledCollector<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SampledCollector").finish_non_exhaustive()
    }
}

impl<F: Fn() -> Sample + Send + Sync + 'static> Collector for SampledCollector<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Sample {
            max_concurrent_calls,
            cached_keys,
            pool,
            queues_busy,
            queue_waiting,
            background_tasks,
            clock_skew,
            event_streams,
        } = (self.sample)();
        let mut gauge = |name, help, value: usize| write(&mut encoder, name, help, &ConstGauge::new(value));
        gauge(
            "inkbox_grpc_requests_limit",
            "Most calls at once; health and reflection not counted",
            max_concurrent_calls,
        )?;
        gauge("inkbox_key_cache_entries", "API keys in memory", cached_keys)?;
        gauge("inkbox_database_sessions_limit", "Most sessions with the database", pool.max_sessions)?;
        gauge("inkbox_database_sessions_waiting", "Callers that wait for a session", pool.waiting)?;
        let busy = "Conversations with a call to their phone under way";
        gauge("inkbox_conversation_queues_busy", busy, queues_busy)?;
        gauge("inkbox_lanes_busy", busy, queues_busy)?;
        let waiting = "Calls that wait for an earlier one on their conversation";
        gauge("inkbox_conversation_queue_waiting", waiting, queue_waiting)?;
        gauge("inkbox_lane_calls_waiting", waiting, queue_waiting)?;
        gauge("inkbox_event_streams", "Streams of events, and calls that wait for an event", event_streams)?;
        gauge("inkbox_background_tasks", "Work that goes on without its caller", background_tasks)?;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            gauge("inkbox_runtime_tasks", "Tasks: connections, calls, and what runs all the time", tasks)?;
        }
        write(
            &mut encoder,
            "inkbox_clock_skew_seconds",
            "How far the machine's clock is ahead of the database's",
            &ConstGauge::new(clock_skew.as_seconds_f64()),
        )?;
        let sessions = ByLabel {
            label: "state",
            series: [("in_use", ConstGauge::new(pool.in_use)), ("idle", ConstGauge::new(pool.idle))],
        };
        write(&mut encoder, "inkbox_database_sessions", "Open sessions with the database", &sessions)?;
        let opened = ConstCounter::new(pool.opened);
        write(&mut encoder, "inkbox_database_sessions_opened", "Sessions that were opened", &opened)
    }
}

pub(super) fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}
