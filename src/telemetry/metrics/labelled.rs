//! A metric with one label that has a few fixed values.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Encodes separate metrics of one type as the series of one. A `Family` would need a look-up at each change.
#[derive(Debug)]
pub(super) struct ByLabel<M, const N: usize> {
    pub(super) label: &'static str,
    pub(super) series: [(&'static str, M); N],
}

impl<M: EncodeMetric + TypedMetric, const N: usize> EncodeMetric for ByLabel<M, N> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, metric) in &self.series {
            metric.encode(encoder.encode_family(&[(self.label, *value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}
