//! Settings of the server: listeners, TLS, limits of calls and connections, and the drain.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::parse::{bytes, duration, non_empty, path, positive_duration};
use crate::admission::{AdmissionLimits, Share};
use crate::grpc::middleware::limits::CallLimits;
use crate::net::ConnectionLimits;
use crate::net::listeners::ListenAddress;
use crate::net::tls::{Tls, TlsFiles};
use crate::server::shutdown::DrainLimits;

/// Default of the drain grace with an external database: time for a load balancer in front of the service to notice that
/// health reports `NOT_SERVING`.
const DEFAULT_DRAIN_GRACE: Duration = Duration::from_secs(3);

/// Settings of the server, by concern.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Listeners")]
pub struct ServerArgs {
    /// Addresses to listen on, separated by commas: `127.0.0.1:50051`, `unix:/run/inkbox.sock`. A Unix socket has mode
    /// 0660 and never uses TLS.
    #[arg(
        long,
        env = "INKBOX_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen: Vec<ListenAddress>,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub admission: AdmissionArgs,
    #[command(flatten)]
    pub calls: CallArgs,
    #[command(flatten)]
    pub connections: ConnectionArgs,
    #[command(flatten)]
    pub drain: DrainArgs,
}

/// TLS of the TCP listeners.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// File with the certificate chain of the service in PEM. If set, TCP uses TLS. Reloaded when it changes.
    #[arg(long, env = "INKBOX_TLS_CERT", value_name = "FILE", value_parser = path())]
    pub tls_cert: Option<PathBuf>,
    /// File with the certificate's private key in PEM.
    #[arg(long, env = "INKBOX_TLS_KEY", value_name = "FILE", value_parser = path())]
    pub tls_key: Option<PathBuf>,
    /// File with the authorities of client certificates in PEM. If set, clients must present a certificate (mTLS).
    #[arg(long, env = "INKBOX_TLS_CLIENT_CA", value_name = "FILE", value_parser = path())]
    pub tls_client_ca: Option<PathBuf>,
    /// Interval at which the TLS files are checked for changes.
    #[arg(long, env = "INKBOX_TLS_RELOAD", default_value = "5s", value_name = "TIME", value_parser = positive_duration)]
    pub tls_reload: Duration,
}

/// Limits of all calls together, and the share of each organization.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct AdmissionArgs {
    /// Maximum number of concurrent calls; further ones are rejected with `RESOURCE_EXHAUSTED`. Half of them may wait for a
    /// carrier. Health and reflection are not counted.
    #[arg(long, alias = "calls-in-flight", env = "INKBOX_MAX_CONCURRENT_CALLS", default_value = "512",
          value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_concurrent_calls: u16,
    /// Maximum number of streams of events, and of calls that wait for an event; further ones are rejected with
    /// `RESOURCE_EXHAUSTED`. One API key may have 100 of them.
    #[arg(long, env = "INKBOX_STREAMS", default_value = "10000", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub streams: u32,
    /// Maximum size of all requests and responses in memory; further ones are rejected with `RESOURCE_EXHAUSTED`.
    #[arg(long, env = "INKBOX_MESSAGE_MEMORY", default_value = "64MiB", value_name = "BYTES", value_parser = bytes)]
    pub message_memory: u32,
    /// The part of these limits, and of the concurrent calls to a carrier, that one organization may use, in percent.
    #[arg(long, env = "INKBOX_ORGANIZATION_SHARE", default_value = "25", value_name = "PERCENT",
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub organization_share: u8,
    /// Maximum time that calls of an organization may wait for a database connection. While they wait longer, its new calls
    /// are rejected with `RESOURCE_EXHAUSTED`.
    #[arg(long, alias = "call-wait", env = "INKBOX_DB_QUEUE_TIMEOUT", default_value = "500ms", value_name = "TIME",
          value_parser = positive_duration)]
    pub db_queue_timeout: Duration,
}

/// Limits of each call.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct CallArgs {
    /// Maximum duration of a call, whatever deadline the client sets.
    #[arg(long, env = "INKBOX_CALL_LIMIT", default_value = "60s", value_name = "TIME", value_parser = positive_duration)]
    pub call_limit: Duration,
    /// Maximum size of a decompressed request; larger ones are rejected with `RESOURCE_EXHAUSTED`.
    #[arg(long, env = "INKBOX_REQUEST_LIMIT", default_value = "1MiB", value_name = "BYTES", value_parser = bytes)]
    pub request_limit: u32,
    /// Maximum size of the metadata of a request; larger metadata is rejected with `RESOURCE_EXHAUSTED`, and more than twice
    /// the maximum by HTTP/2 itself.
    #[arg(long, env = "INKBOX_METADATA_LIMIT", default_value = "16KiB", value_name = "BYTES", value_parser = bytes)]
    pub metadata_limit: u32,
    /// Minimum size of responses that are compressed, with gzip or zstd, for clients that accept it.
    #[arg(long, alias = "compress-from", env = "INKBOX_COMPRESSION_THRESHOLD", default_value = "2KiB",
          value_name = "BYTES", value_parser = bytes)]
    pub compression_threshold: u32,
}

/// Limits of connections.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Maximum number of open connections. A further one takes the place of one on which no call had a valid API key, or
    /// is rejected.
    #[arg(long, env = "INKBOX_CONNECTIONS", default_value = "4096", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Maximum number of open connections from one IPv4 address, or one /64 of IPv6; further ones are rejected [default: half
    /// of all].
    #[arg(long, env = "INKBOX_CONNECTIONS_PER_PEER", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_peer: Option<u32>,
    /// How long a connection may be idle on which no call had a valid API key.
    #[arg(long, env = "INKBOX_UNAUTHENTICATED_IDLE_LIMIT", default_value = "60s", value_name = "TIME",
          value_parser = positive_duration)]
    pub unauthenticated_idle_limit: Duration,
    /// How long a client may leave a response unread before its call is reset.
    #[arg(long, env = "INKBOX_RESPONSE_STALL_LIMIT", default_value = "30s", value_name = "TIME",
          value_parser = positive_duration)]
    pub response_stall_limit: Duration,
    /// Maximum number of concurrent calls on one connection; HTTP/2 makes the client wait with further ones.
    #[arg(long, env = "INKBOX_STREAMS_PER_CONNECTION", default_value = "256", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub streams_per_connection: u32,
    /// Maximum time from the accept of a connection to the HTTP/2 preface, including the TLS handshake.
    #[arg(long, env = "INKBOX_HANDSHAKE_LIMIT", default_value = "10s", value_name = "TIME", value_parser = positive_duration)]
    pub handshake_limit: Duration,
    /// Interval of HTTP/2 pings on an idle connection.
    #[arg(long, env = "INKBOX_KEEPALIVE_INTERVAL", default_value = "30s", value_name = "TIME", value_parser = positive_duration)]
    pub keepalive_interval: Duration,
    /// Maximum time for the answer to a ping; then the connection is closed.
    #[arg(long, env = "INKBOX_KEEPALIVE_TIMEOUT", default_value = "10s", value_name = "TIME", value_parser = positive_duration)]
    pub keepalive_timeout: Duration,
    /// Age at which a connection is shut down gracefully, with a random spread of 10 %, so that load balancers can
    /// redistribute the clients; 0 = never.
    #[arg(long, env = "INKBOX_CONNECTION_AGE", default_value = "15m", value_name = "TIME", value_parser = duration)]
    pub connection_age: Duration,
    /// How long calls in progress may keep such a connection open.
    #[arg(long, env = "INKBOX_CONNECTION_AGE_GRACE", default_value = "5m", value_name = "TIME",
          value_parser = positive_duration)]
    pub connection_age_grace: Duration,
    /// Maximum number of calls on one connection that the client cancelled before they started; more end the connection.
    #[arg(long, env = "INKBOX_PENDING_RESETS", default_value = "64", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub pending_resets: u16,
    /// Maximum number of streams of one connection that are reset because of protocol errors; more end the connection.
    #[arg(long, env = "INKBOX_ERROR_RESETS", default_value = "1024", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub error_resets: u16,
}

/// Duration of a drain.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shutdown")]
pub struct DrainArgs {
    /// How long new calls are accepted after health reports `NOT_SERVING` [default: 0s with the private PostgreSQL, else
    /// 3s].
    #[arg(long, env = "INKBOX_DRAIN_GRACE", value_name = "TIME", value_parser = duration)]
    pub drain_grace: Option<Duration>,
    /// How long calls in progress may take to complete at the end of a drain.
    #[arg(long, env = "INKBOX_DRAIN_LIMIT", default_value = "20s", value_name = "TIME", value_parser = duration)]
    pub drain_limit: Duration,
}

impl ServerArgs {
    /// Limits of connections. HTTP/2 applies the limit of metadata, too.
    #[must_use]
    pub fn connection_limits(&self) -> ConnectionLimits {
        let ConnectionArgs {
            connections,
            connections_per_peer,
            unauthenticated_idle_limit,
            response_stall_limit,
            streams_per_connection,
            handshake_limit,
            keepalive_interval,
            keepalive_timeout,
            connection_age,
            connection_age_grace,
            pending_resets,
            error_resets,
        } = self.connections;
        ConnectionLimits {
            connections: connections as usize,
            per_peer: connections_per_peer.unwrap_or(connections.div_ceil(2)) as usize,
            unauthenticated_idle: unauthenticated_idle_limit,
            response_stall: response_stall_limit,
            streams: streams_per_connection,
            metadata: self.calls.metadata_limit,
            pending_resets: usize::from(pending_resets),
            error_resets: usize::from(error_resets),
            handshake: handshake_limit,
            keepalive_interval,
            keepalive_time_out: keepalive_timeout,
            age: Some(connection_age).filter(|age| !age.is_zero()),
            age_grace: connection_age_grace,
        }
    }
}

impl AdmissionArgs {
    #[must_use]
    pub fn limits(&self) -> AdmissionLimits {
        AdmissionLimits {
            calls: usize::from(self.max_concurrent_calls),
            streams: self.streams as usize,
            memory: self.message_memory as usize,
            share: self.share(),
            queue_timeout: self.db_queue_timeout,
        }
    }

    /// The part of a limit that one organization may use.
    #[must_use]
    pub fn share(&self) -> Share {
        // The flag's parser has checked the range.
        Share::percent(self.organization_share).unwrap_or_default()
    }
}

impl CallArgs {
    #[must_use]
    pub fn limits(&self) -> CallLimits {
        CallLimits {
            max_duration: self.call_limit,
            request: self.request_limit,
            metadata: self.metadata_limit,
            compress_from: self.compression_threshold,
        }
    }
}

impl DrainArgs {
    /// Durations of the steps of a drain. With the embedded database there is no load balancer to wait for by default.
    #[must_use]
    pub fn limits(&self, is_embedded: bool) -> DrainLimits {
        let grace =
            self.drain_grace.unwrap_or(if is_embedded { Duration::ZERO } else { DEFAULT_DRAIN_GRACE });
        DrainLimits { grace, finish: self.drain_limit }
    }
}

impl TlsArgs {
    /// Reads the TLS files, if TLS is configured.
    ///
    /// # Errors
    /// Incomplete settings or invalid files, as one line.
    pub fn load(&self) -> Result<Option<Tls>, String> {
        let [certificate, key, client_ca] =
            [&self.tls_cert, &self.tls_key, &self.tls_client_ca].map(|file| non_empty(file.as_ref()));
        let files = match (certificate, key) {
            (Some(certificate), Some(key)) => TlsFiles { certificate, key, client_ca },
            (None, None) if client_ca.is_none() => return Ok(None),
            _ => return Err("TLS requires both INKBOX_TLS_CERT and INKBOX_TLS_KEY".to_owned()),
        };
        Tls::load(files, self.tls_reload).map(Some).map_err(|error| format!("TLS: {error}"))
    }
}
