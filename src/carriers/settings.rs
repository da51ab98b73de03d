//! Settings of the carriers. `config::carriers` reads them from flags and variables.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::domain::PhoneNumber;

/// A secret that authenticates this service at a carrier. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl From<String> for Credential {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl Credential {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// The configured carriers, besides the sandbox.
#[derive(Debug, Clone)]
pub struct CarrierSettings {
    /// The account at Sendblue.
    pub sendblue: Option<SendblueSettings>,
    /// BlueBubbles servers, at most one per line.
    pub bluebubbles: Vec<Mac>,
    /// Maximum number of concurrent calls to Sendblue, and to each BlueBubbles server. The same number of calls may
    /// wait, for at most two seconds. Each organization may use its share of both.
    pub calls: usize,
    /// Applies to Sendblue, and to each BlueBubbles server, and there to each class of calls: sends, receipts and typing,
    /// look-ups.
    pub breaker: BreakerSettings,
}

/// An account at Sendblue.
#[derive(Debug, Clone)]
pub struct SendblueSettings {
    /// Base URL of the API.
    pub url: Url,
    /// Identifies the account.
    pub key_id: Credential,
    /// Authenticates the account.
    pub secret_key: Credential,
    /// URL to which Sendblue posts the delivery status of each message. Its query may contain a secret.
    pub status_callback: Option<Credential>,
}

/// A Mac with a BlueBubbles server, which serves one line.
#[derive(Debug, Clone)]
pub struct Mac {
    /// The line.
    pub number: PhoneNumber,
    /// Base URL of the server.
    pub url: Url,
    /// Password of the server.
    pub password: Credential,
}

/// When a circuit breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// Number of calls in the last 30 seconds from which on the breaker opens if at least half of them failed; at least 1.
    pub min_calls: usize,
    /// Time in the open state, before one probe call of each organization is permitted.
    pub pause: Duration,
}

/// Why the clients of the carriers could not be constructed.
#[derive(Debug, thiserror::Error)]
pub enum CarrierConfigError {
    /// The certificates of the system cannot be read.
    #[error("TLS to the carriers: {0}")]
    Tls(String),
    /// The HTTP client cannot be constructed.
    #[error("HTTP client for the carriers: {0}")]
    Client(String),
    /// A credential cannot be sent in an HTTP header.
    #[error("INKBOX_SENDBLUE_API_KEY_ID and INKBOX_SENDBLUE_API_SECRET_KEY must be printable ASCII")]
    Header,
}

impl Default for CarrierSettings {
    fn default() -> Self {
        Self { sendblue: None, bluebubbles: Vec::new(), calls: 64, breaker: BreakerSettings::default() }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { min_calls: 10, pause: Duration::from_secs(5) }
    }
}
