//! What is told about the running service, and where. Traces are configured by the standard `OTEL_…` variables.

use std::net::SocketAddr;

use clap::Args;

use crate::telemetry::LogFormat;

/// How log lines look and which there are.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Log lines for people or for collectors.
    #[arg(long, env = "INKBOX_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Which log lines: a level, or levels by module as in `RUST_LOG`.
    #[arg(long, env = "INKBOX_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// Where metrics are scraped.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Address for Prometheus to scrape `/metrics` from. Absent: none. It asks for no key: keep it from the world.
    #[arg(long, env = "INKBOX_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
}
