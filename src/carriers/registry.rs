//! The registry of carriers, and the mapping from lines to carriers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use tokio::sync::watch;
use url::Url;

use super::bluebubbles::BlueBubbles;
use super::carrier::Carrier;
use super::client::api_client::ApiClient;
use super::client::http::HttpClient;
use super::instrumented::Instrumented;
use super::sandbox::Sandbox;
use super::sendblue::Sendblue;
use super::settings::{CarrierConfigError, CarrierSettings};
use crate::admission::Share;
use crate::clock::Clock;
use crate::domain::{CarrierKind, PhoneNumber};
use crate::error::{Error, Result};
use crate::store::{self, Database};
use crate::telemetry::metrics::CarrierMetrics;

/// Maximum number of lines whose carrier is cached: more than any installation has. Further lines cost a query per call.
const MAX_CACHED_LINES: usize = 10_000;

/// How long the carrier of a line is cached: it changes only if the line is removed and added again.
const MAX_LINE_AGE: TimeDelta = TimeDelta::minutes(1);

/// All configured carriers. The sandbox is always configured.
pub struct CarrierRegistry {
    db: Database,
    sandbox: Arc<Sandbox>,
    carriers: HashMap<CarrierKind, Arc<dyn Carrier>>,
    /// With the time at which the database was asked.
    carrier_by_line: Cache<PhoneNumber, (CarrierKind, DateTime<Utc>)>,
    clock: Arc<dyn Clock>,
    breakers_changed: Arc<watch::Sender<()>>,
}

/// The database has lines whose carrier is not configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{lines} of the lines in the database: their carrier, {carrier}, is not configured; {remedy} (docs/carriers.md)",
        remedy = remedy(*carrier))]
pub struct NotConfigured {
    /// The carrier of these lines.
    pub carrier: CarrierKind,
    /// Number of lines.
    pub lines: usize,
}

const fn remedy(carrier: CarrierKind) -> &'static str {
    match carrier {
        CarrierKind::Sandbox => "no setting is needed",
        CarrierKind::Sendblue => "set INKBOX_SENDBLUE_API_KEY_ID and INKBOX_SENDBLUE_API_SECRET_KEY",
        CarrierKind::BlueBubbles => "set INKBOX_BLUEBUBBLES_SERVERS, with a server for each of them",
    }
}

impl CarrierRegistry {
    /// Constructs the sandbox and the configured carriers, instrumented with metrics and traces. Opens no connection.
    /// `share` is the part of a carrier's places that one organization may use.
    ///
    /// # Errors
    /// See [`CarrierConfigError`].
    pub fn new(
        db: Database,
        clock: &Arc<dyn Clock>,
        settings: &CarrierSettings,
        share: Share,
        call_timeout: Duration,
        metrics: &CarrierMetrics,
    ) -> std::result::Result<Self, CarrierConfigError> {
        let sandbox = Arc::new(Sandbox::new(clock.clone(), share, call_timeout));
        let breakers_changed = Arc::new(watch::Sender::new(()));
        let mut carriers = clients(settings, clock, share, call_timeout, &breakers_changed)?;
        carriers.insert(CarrierKind::Sandbox, sandbox.clone());
        let instrument = |(kind, carrier): (CarrierKind, Arc<dyn Carrier>)| {
            let carrier: Arc<dyn Carrier> =
                Arc::new(Instrumented::new(kind.name(), carrier, metrics.clone()));
            (kind, carrier)
        };
        Ok(Self {
            db,
            sandbox,
            carriers: carriers.into_iter().map(instrument).collect(),
            carrier_by_line: Cache::new(MAX_CACHED_LINES),
            clock: clock.clone(),
            breakers_changed,
        })
    }

    /// The configured carriers, besides the sandbox.
    pub fn configured(&self) -> impl Iterator<Item = CarrierKind> {
        self.carriers.keys().copied().filter(|carrier| *carrier != CarrierKind::Sandbox)
    }

    /// Whether the circuit breaker of a carrier, or of one of its servers, is open or half-open. Cheap: reads the state
    /// of a few breakers in memory.
    #[must_use]
    pub fn breaker_is_open(&self, carrier: CarrierKind) -> bool {
        self.carriers.get(&carrier).is_some_and(|carrier| carrier.breaker_is_open())
    }

    /// Notified when a circuit breaker changes its state.
    #[must_use]
    pub fn breakers_changed(&self) -> watch::Receiver<()> {
        self.breakers_changed.subscribe()
    }

    /// Checks that the carrier of each of these lines is configured.
    ///
    /// # Errors
    /// The first carrier that does not serve all of its lines.
    pub fn check(&self, lines: &[(PhoneNumber, CarrierKind)]) -> std::result::Result<(), NotConfigured> {
        for kind in [CarrierKind::Sendblue, CarrierKind::BlueBubbles] {
            let unserved = lines.iter().filter(|(line, carrier)| {
                *carrier == kind && !self.carriers.get(&kind).is_some_and(|carrier| carrier.serves(line))
            });
            match unserved.count() {
                0 => {}
                lines => return Err(NotConfigured { carrier: kind, lines }),
            }
        }
        Ok(())
    }

    /// The sandbox, whose deliveries can be listed.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The carrier of a line. Callers ask before they store anything, since this can fail.
    ///
    /// # Errors
    /// `StorageUnavailable`; a permanent `UpstreamFailed` if the line's carrier is not configured, which the operator has
    /// to correct.
    pub async fn for_line(&self, line: &PhoneNumber) -> Result<Arc<dyn Carrier>> {
        let now = self.clock.now();
        let cached = self.carrier_by_line.get(line).filter(|(_, asked)| (now - *asked).abs() < MAX_LINE_AGE);
        let kind = match cached {
            Some((kind, _)) => Some(kind),
            None => store::lines::carrier(&self.db, line).await?.inspect(|kind| {
                self.carrier_by_line.insert(line.clone(), (*kind, now));
            }),
        };
        let Some(kind) = kind else {
            // After a removal, for messages whose outcome is unknown and for replies of the router line.
            tracing::warn!(
                "a number is not in the table lines: the line was removed, or verify reports its connections"
            );
            return Err(Error::Internal);
        };
        self.carriers.get(&kind).cloned().ok_or_else(|| {
            tracing::error!(carrier = %kind, "the carrier of a line is not configured: see docs/carriers.md");
            Error::UpstreamFailed { retry_after: None }
        })
    }
}

/// Constructs the clients of the configured carriers.
fn clients(
    settings: &CarrierSettings,
    clock: &Arc<dyn Clock>,
    share: Share,
    call_timeout: Duration,
    breakers_changed: &Arc<watch::Sender<()>>,
) -> std::result::Result<HashMap<CarrierKind, Arc<dyn Carrier>>, CarrierConfigError> {
    let mut carriers: HashMap<CarrierKind, Arc<dyn Carrier>> = HashMap::new();
    // Without a carrier, the certificates of the system are not needed.
    if settings.sendblue.is_none() && settings.bluebubbles.is_empty() {
        return Ok(carriers);
    }
    let http = HttpClient::new(clock.clone(), call_timeout)?;
    let api_client = |kind, url: &Url| {
        ApiClient::new(kind, url, http.clone(), settings, share, call_timeout, breakers_changed)
    };
    if let Some(account) = &settings.sendblue {
        let client = api_client(CarrierKind::Sendblue, &account.url);
        carriers.insert(CarrierKind::Sendblue, Arc::new(Sendblue::new(account, client)?));
    }
    if !settings.bluebubbles.is_empty() {
        let clients = settings.bluebubbles.iter().map(|mac| {
            let client = api_client(CarrierKind::BlueBubbles, &mac.url);
            (mac.clone(), client)
        });
        carriers.insert(CarrierKind::BlueBubbles, Arc::new(BlueBubbles::new(clients)));
    }
    Ok(carriers)
}
