//! Settings of logs and metrics. Traces are configured by the standard `OTEL_…` variables.

use std::net::SocketAddr;

use clap::Args;

use crate::telemetry::LogFormat;

/// Format and level of the log.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Format of log lines: `text` for people, `json` for log collectors.
    #[arg(long, env = "INKBOX_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Filter of log lines: a level, or levels by module as in `RUST_LOG`.
    #[arg(long, env = "INKBOX_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// The listener for metrics.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Address on which Prometheus can scrape `/metrics` [default: none]. It requires no key: restrict access to it.
    #[arg(long, env = "INKBOX_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
}
