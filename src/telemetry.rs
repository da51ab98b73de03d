//! Logging. The fields of the access log are described in `grpc::access_log`.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines look. They go to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Starts logging, once per process.
///
/// # Errors
/// A filter that cannot be read, as one line.
pub fn start(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter =
        EnvFilter::builder().parse(filter).map_err(|error| format!("log filter {filter:?}: {error}"))?;
    let mut lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if !std::io::stderr().is_terminal() {
        // Colours would be noise in a file, and would part each field from its name for those who search it.
        lines = lines.with_ansi(false);
    }
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("logging: {error}"))
}
