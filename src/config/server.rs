//! Settings of the transport: where to listen, TLS, what one process and one connection take on, and how they end.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::duration;
use crate::grpc::middleware::limits::CallLimits;
use crate::net::ConnectionLimits;
use crate::net::listeners::ListenAddress;
use crate::net::probe::{ProbeTls, Trust};
use crate::net::tls::{Tls, TlsFiles};
use crate::server::shutdown::DrainLimits;

/// How long calls are still taken after health says `NOT_SERVING`, where a balancer may stand before us.
const GRACE: Duration = Duration::from_secs(3);

/// Settings of the transport.
#[derive(Debug, Clone, Args)]
pub struct TransportArgs {
    /// Addresses to serve on, separated by commas: `127.0.0.1:50051`, `unix:/run/inkbox.sock`. A Unix socket has mode
    /// 0660 and never TLS.
    #[arg(
        long,
        env = "INKBOX_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen: Vec<ListenAddress>,
    /// File with the service's certificate chain in PEM; TCP speaks TLS then. It is read again when it changes.
    #[arg(long, env = "INKBOX_TLS_CERT", value_name = "FILE", value_parser = file())]
    pub tls_cert: Option<PathBuf>,
    /// File with the certificate's private key in PEM.
    #[arg(long, env = "INKBOX_TLS_KEY", value_name = "FILE", value_parser = file())]
    pub tls_key: Option<PathBuf>,
    /// File with the authorities of clients' certificates in PEM; clients must show a certificate then (mTLS).
    #[arg(long, env = "INKBOX_TLS_CLIENT_CA", value_name = "FILE", value_parser = file())]
    pub tls_client_ca: Option<PathBuf>,
    /// How often the files of TLS are looked at for changes.
    #[arg(long, env = "INKBOX_TLS_RELOAD", default_value = "5s", value_name = "TIME", value_parser = over_zero)]
    pub tls_reload: Duration,
    /// Most connections at once; more are closed at once.
    #[arg(long, env = "INKBOX_CONNECTIONS", default_value = "4096", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Most calls at once on one connection; HTTP/2 makes its client wait with more.
    #[arg(long, env = "INKBOX_STREAMS_PER_CONNECTION", default_value = "256", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub streams_per_connection: u32,
    /// Most calls at once; more are refused with `RESOURCE_EXHAUSTED`. Health and reflection are not counted.
    #[arg(long, env = "INKBOX_CALLS_IN_FLIGHT", default_value = "512", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub calls_in_flight: u16,
    /// How long calls may wait for a connection to the database; while they wait longer, further calls are refused with
    /// `RESOURCE_EXHAUSTED`. Health and reflection are not.
    #[arg(long, env = "INKBOX_CALL_WAIT", default_value = "500ms", value_name = "TIME", value_parser = over_zero)]
    pub call_wait: Duration,
    /// The longest that a call may take, whatever its client says.
    #[arg(long, env = "INKBOX_CALL_LIMIT", default_value = "60s", value_name = "TIME", value_parser = over_zero)]
    pub call_limit: Duration,
    /// Size of the largest request, unpacked; larger ones are refused with `RESOURCE_EXHAUSTED`.
    #[arg(long, env = "INKBOX_REQUEST_LIMIT", default_value = "1MiB", value_name = "BYTES", value_parser = bytes)]
    pub request_limit: u32,
    /// Size of a request's largest metadata; more is refused with `RESOURCE_EXHAUSTED`, more than twice as much by HTTP/2
    /// itself.
    #[arg(long, env = "INKBOX_METADATA_LIMIT", default_value = "16KiB", value_name = "BYTES", value_parser = bytes)]
    pub metadata_limit: u32,
    /// Answers of this size and more are compressed with gzip or zstd for clients that say they take it.
    #[arg(long, env = "INKBOX_COMPRESS_FROM", default_value = "2KiB", value_name = "BYTES", value_parser = bytes)]
    pub compress_from: u32,
    /// From a connection to the first bytes of HTTP/2 on it, with the TLS handshake in between.
    #[arg(long, env = "INKBOX_HANDSHAKE_LIMIT", default_value = "10s", value_name = "TIME", value_parser = over_zero)]
    pub handshake_limit: Duration,
    /// How long a connection may be silent before its client is asked whether it is still there.
    #[arg(long, env = "INKBOX_KEEPALIVE_INTERVAL", default_value = "30s", value_name = "TIME", value_parser = over_zero)]
    pub keepalive_interval: Duration,
    /// How long the client's answer may take before the connection is closed.
    #[arg(long, env = "INKBOX_KEEPALIVE_TIMEOUT", default_value = "10s", value_name = "TIME", value_parser = over_zero)]
    pub keepalive_timeout: Duration,
    /// Age at which a connection is told to move on, one tenth more or less, so that balancers can spread clients anew; 0
    /// = never.
    #[arg(long, env = "INKBOX_CONNECTION_AGE", default_value = "15m", value_name = "TIME", value_parser = duration)]
    pub connection_age: Duration,
    /// How long calls under way may keep such a connection.
    #[arg(long, env = "INKBOX_CONNECTION_AGE_GRACE", default_value = "5m", value_name = "TIME",
          value_parser = over_zero)]
    pub connection_age_grace: Duration,
    /// Calls given up by the client before they were begun with, at once on one connection; more end the connection.
    #[arg(long, env = "INKBOX_PENDING_RESETS", default_value = "64", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub pending_resets: u16,
    /// Streams that a client's mistakes may make the service reset on one connection; more end the connection.
    #[arg(long, env = "INKBOX_ERROR_RESETS", default_value = "1024", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub error_resets: u16,
    /// How long calls are still taken after health says `NOT_SERVING` [default: 0s with the private PostgreSQL, else 3s].
    #[arg(long, env = "INKBOX_DRAIN_GRACE", value_name = "TIME", value_parser = duration)]
    pub drain_grace: Option<Duration>,
    /// How long calls under way have to finish at the end.
    #[arg(long, env = "INKBOX_DRAIN_LIMIT", default_value = "20s", value_name = "TIME", value_parser = duration)]
    pub drain_limit: Duration,
}

impl TransportArgs {
    /// Bounds on calls.
    #[must_use]
    pub fn calls(&self) -> CallLimits {
        CallLimits {
            in_flight: usize::from(self.calls_in_flight),
            queue_timeout: self.call_wait,
            max_duration: self.call_limit,
            request: self.request_limit,
            metadata: self.metadata_limit,
            compress_from: self.compress_from,
        }
    }

    /// Bounds on connections.
    #[must_use]
    pub fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            connections: self.connections as usize,
            streams: self.streams_per_connection,
            metadata: self.metadata_limit,
            pending_resets: usize::from(self.pending_resets),
            error_resets: usize::from(self.error_resets),
            handshake: self.handshake_limit,
            keepalive_interval: self.keepalive_interval,
            keepalive_time_out: self.keepalive_timeout,
            age: Some(self.connection_age).filter(|age| !age.is_zero()),
            age_grace: self.connection_age_grace,
        }
    }

    /// Steps of a drain.
    #[must_use]
    pub fn drain(&self, is_embedded: bool) -> DrainLimits {
        let grace = self.drain_grace.unwrap_or(if is_embedded { Duration::ZERO } else { GRACE });
        DrainLimits { grace, finish: self.drain_limit }
    }

    /// TLS, where it is configured, with its files read.
    ///
    /// # Errors
    /// Files that cannot be used, as one line.
    pub fn tls(&self) -> Result<Option<Tls>, String> {
        let [certificate, key, client_ca] =
            [&self.tls_cert, &self.tls_key, &self.tls_client_ca].map(|file| given(file.as_ref()));
        let files = match (certificate, key) {
            (Some(certificate), Some(key)) => TlsFiles { certificate, key, client_ca },
            (None, None) if client_ca.is_none() => return Ok(None),
            _ => return Err("TLS requires both INKBOX_TLS_CERT and INKBOX_TLS_KEY".to_owned()),
        };
        Tls::load(files, self.tls_reload).map(Some).map_err(|error| format!("TLS: {error}"))
    }
}

/// How `health` reaches the service: with the service's own variables it asks the service beside it.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// Addresses of the service; a Unix socket among them is asked first, else the first one.
    #[arg(
        long,
        env = "INKBOX_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen: Vec<ListenAddress>,
    /// The service's own certificate: TLS is spoken, and this very certificate expected.
    #[arg(long, env = "INKBOX_TLS_CERT", value_name = "FILE", value_parser = file())]
    pub tls_cert: Option<PathBuf>,
    /// Authority of the service's certificate, for a service elsewhere: TLS is spoken, and the name checked.
    #[arg(long, env = "INKBOX_HEALTH_CA", value_name = "FILE", value_parser = file())]
    pub ca: Option<PathBuf>,
    /// Name in the service's certificate [default: the address].
    #[arg(long, env = "INKBOX_HEALTH_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<String>,
    /// Certificate to show to a service that asks for one (mTLS).
    #[arg(long, env = "INKBOX_HEALTH_CERT", value_name = "FILE", value_parser = file())]
    pub cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, env = "INKBOX_HEALTH_KEY", value_name = "FILE", value_parser = file())]
    pub key: Option<PathBuf>,
}

impl ProbeArgs {
    /// The address to ask.
    #[must_use]
    pub fn address(&self) -> Option<&ListenAddress> {
        let socket = self.listen.iter().find(|address| matches!(address, ListenAddress::Unix(_)));
        socket.or(self.listen.first())
    }

    /// TLS, where it is to be spoken with a service on this host.
    ///
    /// # Errors
    /// A certificate without its key.
    pub fn tls(&self, host: &str) -> Result<Option<ProbeTls>, String> {
        let identity = match (given(self.cert.as_ref()), given(self.key.as_ref())) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("INKBOX_HEALTH_CERT and INKBOX_HEALTH_KEY must be set together".to_owned()),
        };
        let trust = match (given(self.ca.as_ref()), given(self.tls_cert.as_ref())) {
            (Some(file), _) => {
                let name = self.server_name.clone().unwrap_or_else(|| host.to_owned());
                Trust::Authority { file, name }
            }
            (None, Some(certificate)) => Trust::Certificate(certificate),
            (None, None) => return Ok(None),
        };
        Ok(Some(ProbeTls { trust, identity }))
    }
}

/// Reads a path, or nothing: a template that leaves a variable empty means that there is no file.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A variable that is set to nothing says nothing.
fn given(file: Option<&PathBuf>) -> Option<PathBuf> {
    file.filter(|file| !file.as_os_str().is_empty()).cloned()
}

/// Reads a time that must pass.
fn over_zero(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be greater than zero".to_owned()),
        time => Ok(time),
    }
}

/// The largest size that can be configured, in bytes: larger is a typing error.
const LARGEST: u64 = 1 << 30;

/// Reads `1MiB`, `16KiB`, or a bare number of bytes.
fn bytes(text: &str) -> Result<u32, String> {
    let bad = || format!("{text:?} is not a size of at most 1024MiB, such as 1MiB, 16KiB or 2048 (bytes)");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(bad()),
    };
    let number: u32 = digits.trim().parse().map_err(|_| bad())?;
    let size = u64::from(number) * unit;
    u32::try_from(size).ok().filter(|size| u64::from(*size) <= LARGEST).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, over_zero};

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, size) in [("1MiB", 1 << 20), ("16KiB", 16_384), ("2048", 2_048), ("7B", 7), ("0", 0)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5MiB", "1MB", "1GiB", "99999999999", "4096MiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_that_must_pass_is_not_zero() {
        assert_eq!(over_zero("10ms"), Ok(Duration::from_millis(10)));
        assert!(over_zero("0").is_err() && over_zero("0s").is_err());
    }
}
