//! Logging and tracing. The fields of the access log and the spans are described in docs/operations.md.

mod export;
mod log_writer;
pub mod metrics;
pub mod trace;

use clap::ValueEnum;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use self::export::Export;

/// How log lines look. They go to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Logging and tracing of this process, started.
#[derive(Debug)]
pub struct Telemetry {
    export: Option<Export>,
    /// Writes the last lines when it is dropped.
    _writing: log_writer::Writing,
}

impl Telemetry {
    /// Starts logging, once per process, and the export of spans where `with_traces` is set and the environment's
    /// standard `OTEL_…` variables ask for it. Has to be called inside a runtime.
    ///
    /// # Errors
    /// A filter that cannot be read, or an export that cannot be configured, as one line.
    pub fn start(format: LogFormat, filter: &str, with_traces: bool) -> Result<Self, String> {
        let filter =
            EnvFilter::builder().parse(filter).map_err(|error| format!("log filter {filter:?}: {error}"))?;
        let export = if with_traces { Export::configured()? } else { None };
        let (writer, writing) =
            log_writer::start(std::io::stderr()).map_err(|error| format!("logging: {error}"))?;
        let lines = fmt::layer().with_writer(writer);
        let lines = match format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let spans = export.as_ref().map(Export::layer);
        let started = registry().with(spans).with(lines.with_filter(filter)).try_init();
        started.map_err(|error| format!("logging: {error}"))?;
        Ok(Self { export, _writing: writing })
    }

    /// Hands over the spans that are still waiting, within a bound.
    pub async fn stop(self) {
        if let Some(export) = self.export {
            export.stop().await;
        }
    }
}
