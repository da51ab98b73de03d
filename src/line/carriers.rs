//! The carriers of this process, and which of them each line is with.

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::observed::Observed;
use super::{Line, Sandbox};
use crate::domain::{Carrier, PhoneNumber};
use crate::error::{Error, Result};
use crate::metrics::LineMetrics;
use crate::store::{self, Database};

/// Lines whose carrier is remembered: more than anybody has. One beyond costs a look-up, not an error.
const REMEMBERED_LINES: usize = 10_000;

/// Every carrier that is configured. The sandbox always is.
pub struct Carriers {
    db: Database,
    sandbox: Arc<Sandbox>,
    lines: HashMap<Carrier, Arc<dyn Line>>,
    /// Never stale: a line keeps its carrier.
    of_numbers: Cache<PhoneNumber, Carrier>,
}

impl Carriers {
    /// The sandbox, and those of `configured`; each of their calls is counted and traced.
    #[must_use]
    pub fn new(
        db: Database,
        sandbox: Arc<Sandbox>,
        configured: impl IntoIterator<Item = (Carrier, Arc<dyn Line>)>,
        metrics: &LineMetrics,
    ) -> Self {
        let of_sandbox: (_, Arc<dyn Line>) = (Carrier::Sandbox, sandbox.clone());
        let observed = |(carrier, line): (Carrier, Arc<dyn Line>)| {
            let line: Arc<dyn Line> = Arc::new(Observed::new(carrier.name(), line, metrics.clone()));
            (carrier, line)
        };
        let lines = configured.into_iter().chain([of_sandbox]).map(observed).collect();
        Self { db, sandbox, lines, of_numbers: Cache::new(REMEMBERED_LINES) }
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
    pub async fn of(&self, number: &PhoneNumber) -> Result<Arc<dyn Line>> {
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
            tracing::error!(%carrier, "a line is with a carrier that is not configured: see docs/lines.md");
            Error::UpstreamFailed { retry_after: None }
        })
    }
}
