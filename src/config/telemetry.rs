//! Settings of logs and metrics. Traces are configured by the standard `OTEL_…` variables.

use std::net::SocketAddr;

use clap::{Args, ValueEnum as _};

use super::requested::requested;
use crate::telemetry::LogFormat;

const FORMAT_FLAG: &str = "--log-format";
const FORMAT_VARIABLE: &str = "INKBOX_LOG_FORMAT";

/// The format of log lines that this process was started with, even if its other settings are invalid: their error has to be
/// written in this format, too.
#[must_use]
pub fn requested_log_format() -> LogFormat {
    let format = requested(FORMAT_FLAG, FORMAT_VARIABLE);
    format.and_then(|format| LogFormat::from_str(&format, false).ok()).unwrap_or(LogFormat::Text)
}

/// Format and level of the log.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Format of log lines: `text` for people, `json` for log collectors.
    #[arg(long, env = FORMAT_VARIABLE, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Filter of log lines: a level, or levels by module as in `RUST_LOG`.
    #[arg(long, env = "INKBOX_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// The listener for metrics.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// Address on which Prometheus can scrape `/metrics` [default: none]. It requires no key: restrict access to it.
    #[arg(long, env = "INKBOX_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
}
