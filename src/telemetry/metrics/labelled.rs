//! A metric with one label that has two fixed values.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// Encodes two separate metrics as the series of one. A `Family` would need a look-up at each change.
#[derive(Debug)]
pub(super) struct ByLabel<M> {
    pub(super) label: &'static str,
    pub(super) series: [(&'static str, M); 2],
}

impl<M: EncodeMetric> EncodeMetric for ByLabel<M> {
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
