//! Background cleanup: deletes expired idempotency keys and deduplication records, applies the configured
//! retention, and purges the messages of discarded conversations.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::App;
use crate::domain::{ConversationId, Cursor, OrganizationId};
use crate::error::Result;
use crate::messaging::inbound::MAX_WAIT_FOR_FILES;
use crate::store::retention::expiry::{self, Deleted};
use crate::store::retention::{self, BodyKind, DiscardOutcome, Participants};
use crate::store::{Database, StoreError, audit, conversations, events};
use crate::telemetry::metrics::CleanupOutcome as Outcome;

/// How long idempotency keys are kept, and the provider message ids by which redeliveries and late delivery
/// updates are recognised. Carriers redeliver within hours, callers retry within minutes.
pub const DEDUPLICATION_RETENTION: TimeDelta = TimeDelta::days(7);
/// How long delivery updates are kept whose message is not known: longer than a send takes, and than the background
/// look-up takes to find a message whose send got no answer.
const MAX_EARLY: TimeDelta = TimeDelta::hours(1);
/// Time between two runs.
const INTERVAL: Duration = Duration::from_mins(10);
/// Number of organizations in succession whose cleanup fails before the run is given up: the database is away.
const MAX_FAILURES: u32 = 8;
/// Pause between two batches, so that cleanup leaves most of the database's capacity to calls.
const BATCH_PAUSE: Duration = Duration::from_millis(50);

/// Configured maximum ages; `None` keeps the data without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Age of texts, files, previews and custom emoji, counted from when they arrived or were sent. Older
    /// ones are redacted.
    pub bodies: Option<TimeDelta>,
    /// Age of all data about an identity and a human, counted from the release of their last connection.
    /// Older data is deleted.
    pub released: Option<TimeDelta>,
    /// Age of events. Older ones are deleted.
    pub events: Option<TimeDelta>,
    /// Age of entries of the audit log. Older ones are deleted.
    pub audit: Option<TimeDelta>,
}

/// How many rows a run deleted or redacted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Idempotency keys that expired.
    pub idempotency_keys: u64,
    /// Records that expired by which redeliveries and late delivery updates were recognised.
    pub deduplication_records: u64,
    /// Messages and reactions whose bodies were redacted.
    pub redacted: u64,
    /// Connections past their retention.
    pub connections: u64,
    /// Messages of conversations past their retention.
    pub messages: u64,
    /// Events past their retention.
    pub events: u64,
    /// Entries of the audit log past their retention.
    pub audit_entries: u64,
}

impl Removed {
    /// Deleted data cannot be asked why it is gone, so every run that removes something says so.
    fn log(self) {
        if self == Self::default() {
            tracing::debug!("cleanup removed nothing");
            return;
        }
        tracing::info!(
            cleanup.idempotency_keys = self.idempotency_keys,
            cleanup.deduplication_records = self.deduplication_records,
            cleanup.redacted = self.redacted,
            cleanup.connections = self.connections,
            cleanup.messages = self.messages,
            cleanup.events = self.events,
            cleanup.audit_entries = self.audit_entries,
            "cleanup removed expired data"
        );
    }
}

/// What the background cleanup of a process does.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Configured maximum ages.
    pub retention: Retention,
    /// How far the machine's clock may be from the database's. Beyond that no run begins: another replica, whose clock is
    /// right, does the work, and nothing is deleted by a clock that is wrong.
    pub max_skew: Duration,
}

/// Runs cleanup at a fixed interval until `stop` is cancelled.
pub async fn run(app: App, schedule: Schedule, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let cleaning = async {
        let mut start = String::new();
        loop {
            ticks.tick().await;
            let skew = app.skew.get();
            if skew.abs().to_std().unwrap_or(Duration::MAX) > schedule.max_skew {
                app.metrics.cleanup.record(Outcome::Skipped, app.clock.now());
                tracing::warn!(
                    clock.skew_seconds = skew.as_seconds_f64(),
                    "cleanup was skipped: the machine's clock differs too much from the database's"
                );
                continue;
            }
            let run = Run::new(&app, schedule.retention).all(&start).await;
            start = run.next_start;
            let outcome = if run.result.is_ok() { Outcome::Done } else { Outcome::Failed };
            app.metrics.cleanup.record(outcome, app.clock.now());
            run.removed.log();
            if let Err(error) = run.result {
                tracing::warn!(error = %error, "cleanup failed; the next run continues where it stopped");
            }
        }
    };
    tokio::select! {
        () = cleaning => {}
        () = stop.cancelled() => {}
    }
}

/// Runs cleanup once.
///
/// # Errors
/// The first failure. What could be deleted is deleted all the same: the data of one organization must not keep retention
/// from others.
pub async fn run_once(app: &App, retention: Retention) -> Result<Removed> {
    let run = Run::new(app, retention).all("").await;
    run.result.map(|()| run.removed)
}

/// A run, and what came of it so far.
#[expect(missing_debug_implementations, reason = "lives for one run and is never printed")]
pub struct Run<'a> {
    app: &'a App,
    retention: Retention,
    /// Idempotency keys and deduplication records that are older are deleted.
    expired_before: DateTime<Utc>,
    /// What was removed.
    pub removed: Removed,
    /// How many events are kept.
    kept_events: u64,
    /// The first failure.
    pub result: Result<()>,
    /// The organization after which the next run starts: where this one was given up, so that organizations whose
    /// cleanup always fails do not keep the others from their turn. Empty for the first.
    pub next_start: String,
}

impl<'a> Run<'a> {
    /// A run that has done nothing yet.
    #[must_use]
    pub fn new(app: &'a App, retention: Retention) -> Self {
        let expired_before = app.clock.now() - DEDUPLICATION_RETENTION;
        let (removed, next_start) = (Removed::default(), String::new());
        Self { app, retention, expired_before, removed, kept_events: 0, result: Ok(()), next_start }
    }

    /// Cleans up global tables, and organizations whose ids come after `start`.
    pub async fn all(mut self, start: &str) -> Self {
        let result = self.delete_expired_deduplication().await;
        self.note(result);
        let result = self.clean_audit_log(None).await;
        self.note(result);
        // Conversations left over by an interrupted erasure or cleanup are the oldest, so they are purged first.
        let result = self.purge_discarded().await;
        self.note(result);
        let result = self.clean_organizations(start).await;
        if result.is_ok() {
            self.app.metrics.events.log_is(self.kept_events);
        }
        self.note(result);
        let result = self.purge_discarded().await;
        self.note(result);
        self
    }

    fn note(&mut self, result: Result<()>) {
        if self.result.is_ok() {
            self.result = result;
        }
    }

    async fn clean_organizations(&mut self, start: &str) -> Result<()> {
        let (mut after, mut failures) = (start.to_owned(), 0);
        loop {
            let organizations = expiry::list_organizations(&self.app.db, &after).await?;
            let Some(last) = organizations.last() else { return Ok(()) };
            last.as_str().clone_into(&mut after);
            for organization_id in &organizations {
                let Err(error) = self.clean_organization(organization_id).await else {
                    failures = 0;
                    continue;
                };
                tracing::warn!(organization.id = %organization_id, error = %error, "cleanup of an organization failed");
                self.note(Err(error));
                failures += 1;
                if failures >= MAX_FAILURES {
                    organization_id.as_str().clone_into(&mut self.next_start);
                    return Ok(());
                }
            }
        }
    }

    async fn clean_organization(&mut self, organization_id: &OrganizationId) -> Result<()> {
        let db = &self.app.db;
        while conversations::settle_horizons(db, organization_id).await? {
            sleep(BATCH_PAUSE).await;
        }
        let expired_before = self.expired_before;
        self.removed.idempotency_keys +=
            drain(|| expiry::delete_idempotency_keys(db, organization_id, expired_before)).await?;
        if let Some(age) = self.retention.bodies {
            self.redact_bodies(organization_id, self.app.clock.now() - age).await?;
        }
        if let Some(age) = self.retention.released {
            let connections = self.removed.connections;
            self.discard_released(organization_id, self.app.clock.now() - age).await?;
            if self.removed.connections > connections {
                forget_erased(db, organization_id).await?;
            }
        }
        self.clean_audit_log(Some(organization_id)).await?;
        self.clean_log(organization_id).await
    }

    /// Without an organization, the entries about lines and router keys.
    async fn clean_audit_log(&mut self, organization_id: Option<&OrganizationId>) -> Result<()> {
        let Some(age) = self.retention.audit else { return Ok(()) };
        let (db, before) = (&self.app.db, self.app.clock.now() - age);
        self.removed.audit_entries += drain(|| audit::delete_expired(db, organization_id, before)).await?;
        Ok(())
    }

    async fn clean_log(&mut self, organization_id: &OrganizationId) -> Result<()> {
        let db = &self.app.db;
        if let Some(age) = self.retention.events {
            let before = self.app.clock.now() - age;
            self.removed.events += drain(|| events::delete_expired(db, organization_id, before)).await?;
        }
        let bounds = events::bounds(db, organization_id, 0).await?;
        let kept = bounds.oldest.map_or(0, |oldest| bounds.last - oldest + 1);
        self.kept_events += u64::try_from(kept).unwrap_or(0);
        Ok(())
    }

    async fn delete_expired_deduplication(&mut self) -> Result<()> {
        let (db, before) = (&self.app.db, self.expired_before);
        let records = &mut self.removed.deduplication_records;
        *records += drain(|| expiry::delete_router_commands(db, before)).await?;
        *records += drain(|| expiry::delete_sent_messages(db, before)).await?;
        *records += drain(|| expiry::delete_tapback_texts(db, before)).await?;
        *records += drain(|| expiry::delete_forgotten_texts(db, before)).await?;
        let awaited_since = self.app.clock.now() - MAX_WAIT_FOR_FILES;
        *records += drain(|| expiry::delete_awaited_files(db, awaited_since)).await?;
        let early_since = self.app.clock.now() - MAX_EARLY;
        *records += drain(|| expiry::delete_early_statuses(db, early_since)).await?;
        Ok(())
    }

    async fn redact_bodies(&mut self, organization_id: &OrganizationId, before: DateTime<Utc>) -> Result<()> {
        let db = &self.app.db;
        if !retention::has_unredacted(db, organization_id, before).await? {
            return Ok(());
        }
        for kind in [BodyKind::Messages, BodyKind::Reactions] {
            let mut after = Uuid::nil();
            loop {
                let now = self.app.clock.now();
                let progress = retention::redact(db, organization_id, kind, before, after, now).await?;
                self.removed.redacted += progress.redacted;
                if !progress.more {
                    break;
                }
                after = progress.after;
                sleep(BATCH_PAUSE).await;
            }
        }
        Ok(())
    }

    async fn discard_released(
        &mut self,
        organization_id: &OrganizationId,
        before: DateTime<Utc>,
    ) -> Result<()> {
        let mut after = Cursor { at: DateTime::UNIX_EPOCH, id: Uuid::nil() };
        loop {
            let page = retention::list_released(&self.app.db, organization_id, before, after).await?;
            // The same pair appears once for each of its connections.
            let ended: HashSet<_> = page.ended.into_iter().collect();
            for (identity_id, remote_number) in ended {
                let participants =
                    Participants { organization_id: organization_id.clone(), identity_id, remote_number };
                let now = self.app.clock.now();
                match retention::discard(&self.app.db, participants, Some(before), now).await? {
                    DiscardOutcome::Discarded(discarded) => self.removed.connections += discarded.connections,
                    DiscardOutcome::SendsInFlight => {
                        tracing::warn!(
                            "not discarded: a send is in flight on a connection past its retention"
                        );
                    }
                    _ => {}
                }
            }
            let Some(next) = page.next else { return Ok(()) };
            after = next;
            sleep(BATCH_PAUSE).await;
        }
    }

    /// Purges every discarded conversation, also after one that cannot be purged.
    async fn purge_discarded(&mut self) -> Result<()> {
        let (mut after, mut result) = (None, Ok(()));
        loop {
            let discarded = retention::list_discarded(&self.app.db, None, after).await?;
            let Some(last) = discarded.last() else { return result };
            after = Some(last.clone());
            for (organization_id, conversation_id) in discarded {
                let purged = self.purge_conversation(&organization_id, conversation_id).await;
                result = result.and(purged);
            }
        }
    }

    async fn purge_conversation(
        &mut self,
        organization_id: &OrganizationId,
        id: ConversationId,
    ) -> Result<()> {
        loop {
            let now = self.app.clock.now();
            let redelivered_since = now - DEDUPLICATION_RETENTION;
            let purged = retention::purge(&self.app.db, organization_id, id, redelivered_since, now).await?;
            self.removed.messages += purged.messages;
            sleep(BATCH_PAUSE).await;
            if !purged.more {
                return Ok(());
            }
        }
    }
}

/// Removes what the event log says of erased conversations.
pub(super) async fn forget_erased(db: &Database, organization_id: &OrganizationId) -> Result<(), StoreError> {
    let mut after = Some(0);
    while let Some(number) = after {
        after = events::forget_erased(db, organization_id, number).await?;
        if after.is_some() {
            sleep(BATCH_PAUSE).await;
        }
    }
    Ok(())
}

/// Deletes batch by batch until nothing is left, and returns the number of rows.
async fn drain<F, D>(delete_batch: F) -> Result<u64>
where
    F: Fn() -> D,
    D: Future<Output = Result<Deleted, StoreError>>,
{
    let mut rows = 0;
    loop {
        let deleted = delete_batch().await?;
        rows += deleted.rows;
        if !deleted.more {
            return Ok(rows);
        }
        sleep(BATCH_PAUSE).await;
    }
}
