//! Export of spans over OTLP. Without a configured endpoint, nothing here runs and spans are not created.
//!
//! Calls never wait for a collector: completed spans go into a bounded queue (`OTEL_BSP_MAX_QUEUE_SIZE`), which a thread
//! of the OpenTelemetry SDK empties. Spans that find the queue full are dropped.

use std::env;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tonic::transport::ClientTlsConfig;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::trace::TARGET;

/// The default of `service.name`, and the name of the tracer.
const SERVICE_NAME: &str = "inkbox-imessage";
/// Maximum duration of the last export at shutdown.
const LAST_EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// Prefix of the targets whose events are exported with a span. Events of libraries are not.
const OWN_MODULES: &str = "inkbox_imessage";

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// The running export of spans.
#[derive(Debug)]
pub(super) struct Export {
    provider: SdkTracerProvider,
}

impl Export {
    /// The export that the environment configures, if any. The SDK itself reads the standard variables for the sampler,
    /// limits, headers, timeouts and the resource.
    ///
    /// # Errors
    /// An unsupported or invalid configuration, as one line.
    pub(super) fn configured() -> Result<Option<Self>, String> {
        let disabled = value("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let is_off = disabled || value("OTEL_TRACES_EXPORTER").as_deref() == Some("none");
        let Some(endpoint) = first_of(ENDPOINTS).filter(|_| !is_off) else { return Ok(None) };
        if let Some(protocol) = first_of(PROTOCOLS).filter(|protocol| protocol != "grpc") {
            return Err(format!("OTEL_EXPORTER_OTLP_PROTOCOL {protocol:?} is not supported: use grpc"));
        }
        let mut exporter = SpanExporter::builder().with_tonic();
        if endpoint.starts_with("https://") {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
        }
        let exporter = exporter.build().map_err(|error| format!("export of spans: {error}"))?;
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
        Ok(Some(Self { provider }))
    }

    /// The layer that exports spans of [`TARGET`] with the warnings and errors of this crate inside them.
    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let wanted = filter_fn(|metadata| {
            if metadata.is_span() {
                metadata.target() == TARGET
            } else {
                metadata.target().starts_with(OWN_MODULES) && *metadata.level() <= Level::WARN
            }
        });
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE_NAME))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(wanted.with_max_level_hint(LevelFilter::DEBUG))
            .boxed()
    }

    pub(super) async fn stop(self) {
        // Blocks its thread while it waits for the collector.
        let stopping =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST_EXPORT_TIMEOUT));
        if let Ok(Err(error)) = stopping.await {
            tracing::warn!(error = %error, "the last spans were not exported");
        }
    }
}

/// What the spans are of: the attributes of the environment, and defaults for those that it does not set. The instance has a
/// random id, because replicas share every other attribute.
fn resource() -> Resource {
    let attributes = value("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_set = |name: &str| {
        let mut names = attributes.split(',').filter_map(|pair| pair.split_once('='));
        names.any(|(set, _)| set.trim() == name)
            || name == "service.name" && value("OTEL_SERVICE_NAME").is_some()
    };
    let defaults = [
        ("service.name", SERVICE_NAME.to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()),
    ];
    let missing = defaults.into_iter().filter(|(name, _)| !is_set(name));
    Resource::builder().with_attributes(missing.map(|(name, value)| KeyValue::new(name, value))).build()
}

/// The value of a variable. The OpenTelemetry specification treats an empty variable as unset.
fn value(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn first_of(names: [&str; 2]) -> Option<String> {
    names.into_iter().find_map(value)
}
