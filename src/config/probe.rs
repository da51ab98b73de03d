//! Settings of the health probe.

use std::path::PathBuf;

use clap::Args;

use super::parse::{non_empty, path};
use crate::net::listeners::ListenAddress;
use crate::net::probe::{ProbeTls, Trust};

/// How `health` connects to the service. With the variables of the service, it queries the service on the same host.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// Addresses of the service. The first Unix socket is used, or else the first address.
    #[arg(
        long,
        env = "INKBOX_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen: Vec<ListenAddress>,
    /// Certificate of the service. If set, TLS is used, and only this certificate is accepted.
    #[arg(long, env = "INKBOX_TLS_CERT", value_name = "FILE", value_parser = path())]
    pub tls_cert: Option<PathBuf>,
    /// Authority of the service's certificate, for a service on another host. TLS is used, and the name is verified.
    #[arg(long, env = "INKBOX_HEALTH_CA", value_name = "FILE", value_parser = path())]
    pub ca: Option<PathBuf>,
    /// Expected name in the certificate of the service [default: the address].
    #[arg(long, env = "INKBOX_HEALTH_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<String>,
    /// Client certificate, for a service that requires one (mTLS).
    #[arg(long, env = "INKBOX_HEALTH_CERT", value_name = "FILE", value_parser = path())]
    pub cert: Option<PathBuf>,
    /// Private key of the client certificate.
    #[arg(long, env = "INKBOX_HEALTH_KEY", value_name = "FILE", value_parser = path())]
    pub key: Option<PathBuf>,
}

impl ProbeArgs {
    /// The address to connect to.
    #[must_use]
    pub fn address(&self) -> Option<&ListenAddress> {
        let socket = self.listen.iter().find(|address| matches!(address, ListenAddress::Unix(_)));
        socket.or(self.listen.first())
    }

    /// The TLS settings, if TLS is configured. `host` is the default for the name in the certificate.
    ///
    /// # Errors
    /// A certificate without its key, as one line.
    pub fn tls(&self, host: &str) -> Result<Option<ProbeTls>, String> {
        let identity = match (non_empty(self.cert.as_ref()), non_empty(self.key.as_ref())) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("INKBOX_HEALTH_CERT and INKBOX_HEALTH_KEY must be set together".to_owned()),
        };
        let trust = match (non_empty(self.ca.as_ref()), non_empty(self.tls_cert.as_ref())) {
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
