//! Back-fill: fetches from the carriers what their webhooks did not deliver, such as during an outage. Each line has a
//! position up to which everything was fetched; it moves only after what was fetched is stored. Messages that are stored
//! already are recognised by the carrier's id, so that fetching them again changes nothing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::App;
use crate::carrier_webhooks::{receive_listed, record_time};
use crate::carriers::{Carrier, ListRequest, ListedPage};
use crate::domain::{CarrierKind, PhoneNumber};
use crate::error::Result;
use crate::store::back_fill::{self, Taken};
use crate::telemetry::metrics::BackFillOutcome as Outcome;

/// Time between two runs without an outage: a webhook can be lost without one.
const INTERVAL: Duration = Duration::from_mins(5);
/// Time after a run that failed. It doubles with each further one, up to [`INTERVAL`].
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// Maximum random delay of a run, so that replicas do not begin at the same moment.
const MAX_JITTER: Duration = Duration::from_secs(2);
/// A run fetches again what is this much older than the position: carriers list messages late, and their clocks differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// Maximum age of what is fetched. Older messages would surprise the agent more than they help.
const MAX_AGE: TimeDelta = TimeDelta::hours(24);
/// Size of a page. Longer ones may exceed the size of a response.
const PAGE: u32 = 25;
/// Maximum number of pages of a line in a run. The next run continues.
const MAX_PAGES: u32 = 200;
/// Pause after each page. Sendblue allows 100 requests in 10 s, look-ups included.
const PAGE_PAUSE: Duration = Duration::from_millis(150);

/// Back-fills the lines of these carriers at the start, after an outage of the database or of a carrier, and at a fixed
/// interval, until `stop` is cancelled. `serving` is whether the database is available.
pub async fn run(
    app: App,
    carriers: Vec<CarrierKind>,
    mut serving: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let back_filling = async {
        recovered(&mut serving).await;
        let mut breakers = app.carriers.breakers_changed();
        let (mut open, mut pause, mut retry) = (Vec::new(), Duration::ZERO, RETRY_INTERVAL);
        // What was not fetched since then is due.
        let mut due = app.clock.now();
        loop {
            let is_over = tokio::select! {
                () = sleep(pause) => false,
                () = recovered(&mut serving) => true,
                () = closed(&app, &carriers, &mut breakers, &mut open) => true,
            };
            if is_over {
                (due, retry) = (app.clock.now(), RETRY_INTERVAL);
            }
            let jitter = rand::rng().random_range(Duration::ZERO..MAX_JITTER);
            sleep(jitter).await;
            if run_once(&app, &carriers, due).await == Outcome::Done {
                (pause, retry) = (INTERVAL, RETRY_INTERVAL);
                // Another replica may have fetched a line half an interval ago.
                due = app.clock.now() + TimeDelta::from_std(INTERVAL / 2).unwrap_or_default();
            } else {
                pause = retry;
                retry = (2 * retry).min(INTERVAL);
            }
        }
    };
    tokio::select! {
        () = back_filling => {}
        () = stop.cancelled() => {}
    }
}

/// Waits until the database becomes available.
async fn recovered(serving: &mut watch::Receiver<bool>) {
    loop {
        if serving.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        if *serving.borrow_and_update() {
            return;
        }
    }
}

/// Waits until the circuit breaker of a carrier closes. `open` are those that are open.
async fn closed(
    app: &App,
    carriers: &[CarrierKind],
    breakers: &mut watch::Receiver<()>,
    open: &mut Vec<CarrierKind>,
) {
    loop {
        let is_open = |carrier: &CarrierKind| app.carriers.breaker_is_open(*carrier);
        let now: Vec<_> = carriers.iter().copied().filter(is_open).collect();
        let has_closed = open.iter().any(|carrier| !now.contains(carrier));
        *open = now;
        if has_closed {
            return;
        }
        if breakers.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Fetches once what these carriers have of each line whose messages were not fetched since `due`. Another replica that is
/// fetching a line keeps it.
pub async fn run_once(app: &App, carriers: &[CarrierKind], due: DateTime<Utc>) -> Outcome {
    let mut run = Run { app, holder: app.clock.new_id(), due, found: 0 };
    let mut outcome = Outcome::Done;
    match back_fill::list_due(&app.db, carriers, due).await {
        Ok(lines) => {
            for (line, carrier) in lines {
                match run.line(&line, carrier).await {
                    Ok(Outcome::Done) => {}
                    Ok(other) if outcome == Outcome::Done => outcome = other,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%carrier, error = %error, "the messages of a line were not fetched");
                        outcome = Outcome::Failed;
                    }
                }
            }
        }
        Err(_) => outcome = Outcome::Failed,
    }
    let found = run.found;
    if found > 0 {
        tracing::info!(messages = found, "messages were fetched that no webhook had delivered");
    }
    app.metrics.back_fill.record(outcome, found);
    if let Ok(oldest) = back_fill::oldest(&app.db, carriers).await {
        app.metrics.back_fill.oldest_is(oldest);
    }
    outcome
}

struct Run<'a> {
    app: &'a App,
    /// Names this run in the leases of lines.
    holder: Uuid,
    due: DateTime<Utc>,
    found: u64,
}

impl Run<'_> {
    async fn line(&mut self, line: &PhoneNumber, carrier: CarrierKind) -> Result<Outcome> {
        let client = self.app.carriers.for_line(line).await?;
        let now = self.app.clock.now();
        let db = &self.app.db;
        if !client.serves(line) {
            return Ok(Outcome::Failed);
        }
        let Some(taken) = back_fill::take(db, line, self.holder, self.due, now).await? else {
            return Ok(Outcome::Busy);
        };
        let fetched = self.pages(&*client, line, carrier, taken, now).await;
        // If this fails, the line is free after the lease.
        back_fill::release(db, line, self.holder).await?;
        fetched.map(|()| Outcome::Done)
    }

    /// Fetches page by page. `now` is the start.
    async fn pages(
        &mut self,
        client: &dyn Carrier,
        line: &PhoneNumber,
        carrier: CarrierKind,
        taken: Taken,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let since = (taken.fetched_to - OVERLAP).max(taken.created_at).max(now - MAX_AGE);
        let mut page = ListRequest { since, offset: 0, limit: PAGE };
        for _ in 0..MAX_PAGES {
            match client.list(line, page).await? {
                ListedPage::TooLarge if page.limit > 1 => page.limit /= 2,
                ListedPage::TooLarge => {
                    tracing::warn!(%carrier, "a message was left out: the carrier's record of it is too large");
                    page.offset += 1;
                }
                // Only an empty page is the end: a carrier may return fewer records than it was asked for.
                ListedPage::Records(records) if records.is_empty() => {
                    back_fill::advance(&self.app.db, line, self.holder, now, self.app.clock.now()).await?;
                    return Ok(());
                }
                ListedPage::Records(records) => {
                    for record in &records {
                        self.found += u64::from(receive_listed(self.app, carrier, line, record).await?);
                    }
                    let fetched_to = records.iter().filter_map(|record| record_time(carrier, record)).max();
                    let fetched_to = fetched_to.unwrap_or(since).min(now);
                    let has_line =
                        back_fill::advance(&self.app.db, line, self.holder, fetched_to, self.app.clock.now());
                    if !has_line.await? {
                        return Ok(());
                    }
                    page.offset =
                        page.offset.saturating_add(u32::try_from(records.len()).unwrap_or(u32::MAX));
                    page.limit = PAGE;
                }
            }
            sleep(PAGE_PAUSE).await;
        }
        Ok(())
    }
}
