//! Which carriers there are and how to reach them. Read from flags and variables by `config::lines`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

use crate::carriers::Carrier;
use crate::carriers::bluebubbles::BlueBubbles;
use crate::carriers::client::http::Http;
use crate::carriers::sendblue::Sendblue;
use crate::clock::Clock;
use crate::domain::{CarrierKind, PhoneNumber};

/// A secret of ours at a carrier. `Debug` shows nothing of it.
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

/// The carriers that are configured, besides the sandbox.
#[derive(Debug, Clone)]
pub struct CarrierSettings {
    /// The account at Sendblue.
    pub sendblue: Option<SendblueSettings>,
    /// BlueBubbles servers.
    pub bluebubbles: Vec<Mac>,
    /// Calls at once to Sendblue, and to each Mac. As many again wait, for two seconds at most.
    pub calls: usize,
    /// When to stop calling.
    pub breaker: BreakerSettings,
}

/// An account at Sendblue.
#[derive(Debug, Clone)]
pub struct SendblueSettings {
    /// Where its API is.
    pub url: Url,
    /// The account.
    pub key_id: Credential,
    /// Its secret.
    pub secret_key: Credential,
    /// Where Sendblue is to tell of each message's delivery. May hold a secret of its own in its path.
    pub status_callback: Option<Credential>,
}

/// A Mac with a BlueBubbles server, for one line.
#[derive(Debug, Clone)]
pub struct Mac {
    /// The line.
    pub number: PhoneNumber,
    /// Where the server is.
    pub url: Url,
    /// Its password.
    pub password: Credential,
}

/// When a carrier is taken for down, and for how long it is left alone.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// Faults of the carrier in a row.
    pub faults: u32,
    /// Until one call finds out whether it is back.
    pub pause: Duration,
}

/// Why the carriers could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum CarrierConfigError {
    /// The certificates of the system cannot be read.
    #[error("TLS to the carriers: {0}")]
    Tls(String),
    /// The HTTP client cannot be made.
    #[error("HTTP client for the carriers: {0}")]
    Client(String),
    /// A credential that cannot be sent.
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
        Self { faults: 5, pause: Duration::from_secs(5) }
    }
}

impl CarrierSettings {
    /// Sets the carriers up. Opens no connection. `changed` hears of each breaker that opens or closes.
    pub(crate) fn lines(
        &self,
        clock: &Arc<dyn Clock>,
        time_out: Duration,
        changed: &Arc<watch::Sender<()>>,
    ) -> Result<HashMap<CarrierKind, Arc<dyn Carrier>>, CarrierConfigError> {
        let mut lines: HashMap<CarrierKind, Arc<dyn Carrier>> = HashMap::new();
        if self.sendblue.is_none() && self.bluebubbles.is_empty() {
            return Ok(lines);
        }
        let http = Http::new(clock.clone(), time_out)?;
        let endpoint = |carrier, url: &Url| {
            crate::carriers::client::api_client::Endpoint::new(
                carrier,
                url,
                http.clone(),
                self,
                time_out,
                changed.clone(),
            )
        };
        if let Some(account) = &self.sendblue {
            let endpoint = endpoint(CarrierKind::Sendblue, &account.url);
            lines.insert(CarrierKind::Sendblue, Arc::new(Sendblue::new(account, endpoint)?));
        }
        if !self.bluebubbles.is_empty() {
            let macs = self.bluebubbles.iter().map(|mac| {
                let endpoint = endpoint(CarrierKind::BlueBubbles, &mac.url);
                (mac.clone(), endpoint)
            });
            lines.insert(CarrierKind::BlueBubbles, Arc::new(BlueBubbles::new(macs)));
        }
        Ok(lines)
    }
}
