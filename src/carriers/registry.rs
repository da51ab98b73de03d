//! The carriers of this process, and which of them each line is with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::watch;

use crate::carriers::instrumented::Instrumented;
use crate::carriers::{Carrier, CarrierConfigError, CarrierSettings, Sandbox};
use crate::clock::Clock;
use crate::domain::{CarrierKind, PhoneNumber};
use crate::error::{Error, Result};
use crate::store::{self, Database};
use crate::telemetry::metrics::CarrierMetrics;

/// Lines whose carrier is remembered: more than anybody has. One beyond costs a look-up, not an error.
const REMEMBERED_LINES: usize = 10_000;

/// Every carrier that is configured. The sandbox always is.
pub struct CarrierRegistry {
    db: Database,
    sandbox: Arc<Sandbox>,
    lines: HashMap<CarrierKind, Arc<dyn Carrier>>,
    /// Never stale: a line keeps its carrier.
    of_numbers: Cache<PhoneNumber, CarrierKind>,
    breakers_changed: Arc<watch::Sender<()>>,
}

/// Lines that nothing is configured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{lines} of the lines in the database: their carrier, {carrier}, is not configured; {remedy} (docs/carriers.md)",
        remedy = remedy(*carrier))]
pub struct NotConfigured {
    /// Who is to carry them.
    pub carrier: CarrierKind,
    /// How many they are.
    pub lines: usize,
}

const fn remedy(carrier: CarrierKind) -> &'static str {
    match carrier {
        CarrierKind::Sandbox => "nothing is to be set",
        CarrierKind::Sendblue => "set INKBOX_SENDBLUE_API_KEY_ID and INKBOX_SENDBLUE_API_SECRET_KEY",
        CarrierKind::BlueBubbles => "set INKBOX_BLUEBUBBLES_SERVERS, with a server for each of them",
    }
}

impl CarrierRegistry {
    /// The sandbox, and those that are configured; each of their calls is counted and traced. Opens no connection.
    ///
    /// # Errors
    /// See [`CarrierConfigError`].
    pub fn new(
        db: Database,
        clock: &Arc<dyn Clock>,
        settings: &CarrierSettings,
        time_out: Duration,
        metrics: &CarrierMetrics,
    ) -> std::result::Result<Self, CarrierConfigError> {
        let sandbox = Arc::new(Sandbox::new(clock.clone(), time_out));
        let breakers_changed = Arc::new(watch::Sender::new(()));
        let mut lines = settings.lines(clock, time_out, &breakers_changed)?;
        lines.insert(CarrierKind::Sandbox, sandbox.clone());
        let observed = |(carrier, line): (CarrierKind, Arc<dyn Carrier>)| {
            let line: Arc<dyn Carrier> = Arc::new(Instrumented::new(carrier.name(), line, metrics.clone()));
            (carrier, line)
        };
        let lines = lines.into_iter().map(observed).collect();
        Ok(Self { db, sandbox, lines, of_numbers: Cache::new(REMEMBERED_LINES), breakers_changed })
    }

    /// The carriers that are configured, besides the sandbox.
    pub fn configured(&self) -> impl Iterator<Item = CarrierKind> {
        self.lines.keys().copied().filter(|carrier| *carrier != CarrierKind::Sandbox)
    }

    /// Whether calls to a carrier, or to one of its servers, fail at once because it was seen to be down. Costs a look
    /// at a few numbers.
    #[must_use]
    pub fn breaker_is_open(&self, carrier: CarrierKind) -> bool {
        self.lines.get(&carrier).is_some_and(|line| line.is_cut_off())
    }

    /// Hears of every breaker that opens or closes.
    #[must_use]
    pub fn breakers_changed(&self) -> watch::Receiver<()> {
        self.breakers_changed.subscribe()
    }

    /// Whether every one of these lines can be spoken from.
    ///
    /// # Errors
    /// The first carrier that is not set up for all of its lines.
    pub fn check(&self, lines: &[(PhoneNumber, CarrierKind)]) -> std::result::Result<(), NotConfigured> {
        for carrier in [CarrierKind::Sendblue, CarrierKind::BlueBubbles] {
            let unserved = lines.iter().filter(|(number, of)| {
                *of == carrier && !self.lines.get(of).is_some_and(|line| line.serves(number))
            });
            match unserved.count() {
                0 => {}
                lines => return Err(NotConfigured { carrier, lines }),
            }
        }
        Ok(())
    }

    /// The line that stands for every carrier where none is at hand.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// What performs on a line. To be asked before anything is written down: it can fail.
    ///
    /// # Errors
    /// `StorageUnavailable`; `UpstreamFailed` for good where the line's carrier is not configured, which is for the
    /// operator to mend.
    pub async fn for_line(&self, number: &PhoneNumber) -> Result<Arc<dyn Carrier>> {
        let known = match self.of_numbers.get(number) {
            Some(carrier) => Some(carrier),
            None => store::lines::carrier(&self.db, number).await?.inspect(|carrier| {
                self.of_numbers.insert(number.clone(), *carrier);
            }),
        };
        let Some(carrier) = known else {
            tracing::error!("a connection is on a number that is no line of ours");
            return Err(Error::Internal);
        };
        self.lines.get(&carrier).cloned().ok_or_else(|| {
            tracing::error!(%carrier, "a line is with a carrier that is not configured: see docs/carriers.md");
            Error::UpstreamFailed { retry_after: None }
        })
    }
}
