//! Logs, traces and metrics. docs/operations.md describes the fields of the access log, the spans and the metrics.

mod export;
mod log_writer;
pub mod metrics;
pub mod trace;

use clap::ValueEnum;
use serde_json::json;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use self::export::Export;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people at a terminal.
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

impl LogFormat {
    /// A line that is written without the logger: before it has started, after it has stopped, or by the logger itself. In
    /// JSON with the fields that every line has, so that a collector can read it.
    #[must_use]
    pub fn line(self, level: &str, message: &str) -> String {
        match self {
            Self::Text => message.to_owned(),
            Self::Json => {
                let mut timestamp = String::new();
                // Fails only if writing to a string does.
                let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
                let target = module_path!();
                json!({ "timestamp": timestamp, "level": level, "message": message, "target": target })
                    .to_string()
            }
        }
    }
}

/// The running logging and tracing of this process.
#[derive(Debug)]
pub struct Telemetry {
    export: Option<Export>,
    /// Writes the queued log lines when it is dropped.
    _log_writer: WorkerGuard,
}

impl Telemetry {
    /// Starts logging to standard error, once per process. Starts the export of spans if `with_traces` is set and the
    /// standard `OTEL_…` variables configure it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// An invalid filter or an invalid configuration of the export, as one line.
    pub fn start(format: LogFormat, filter: &str, with_traces: bool) -> Result<Self, String> {
        let filter =
            EnvFilter::builder().parse(filter).map_err(|error| format!("log filter {filter:?}: {error}"))?;
        let export = if with_traces { Export::configured()? } else { None };
        let (writer, log_writer) = log_writer::start(format, std::io::stderr());
        let lines = fmt::layer().with_writer(writer);
        let lines = match format {
            LogFormat::Text => lines.boxed(),
            // Without the list of all spans, which would repeat the one that a call has.
            LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        };
        let spans = export.as_ref().map(Export::layer);
        let started = registry().with(spans).with(lines.with_filter(filter)).try_init();
        started.map_err(|error| format!("logging: {error}"))?;
        Ok(Self { export, _log_writer: log_writer })
    }

    /// Exports the spans that are still queued, for a limited time.
    pub async fn stop(self) {
        if let Some(export) = self.export {
            export.stop().await;
        }
    }
}
