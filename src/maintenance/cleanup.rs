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
use crate::store::retention::{self, BodyKind, DiscardOutcome, Participants, expiry};

/// How long idempotency keys are kept, and the provider message ids by which redeliveries and late delivery
/// updates are recognised. Carriers redeliver within hours, callers retry within minutes.
pub const DEDUPLICATION_RETENTION: TimeDelta = TimeDelta::days(7);
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
}

/// Runs cleanup at a fixed interval until `stop` is cancelled.
pub async fn run(app: App, retention: Retention, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let cleaning = async {
        loop {
            ticks.tick().await;
            let result = run_once(&app, retention).await;
            app.metrics.cleanup.record(result.is_ok(), app.clock.now());
            if let Err(error) = result {
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
pub async fn run_once(app: &App, retention: Retention) -> Result<()> {
    let expired_before = app.clock.now() - DEDUPLICATION_RETENTION;
    delete_expired_deduplication(app, expired_before).await?;
    // Conversations left over by an interrupted erasure or cleanup are the oldest, so they are purged first.
    let mut result = purge_discarded(app).await;
    let (mut after, mut failures) = (String::new(), 0);
    loop {
        let organizations = expiry::list_organizations(&app.db, &after).await?;
        let Some(last) = organizations.last() else { break };
        last.as_str().clone_into(&mut after);
        for organization_id in &organizations {
            match clean_organization(app, organization_id, retention, expired_before).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::warn!(organization.id = %organization_id, error = %error, "cleanup of an organization failed");
                    result = result.and(Err(error));
                    failures += 1;
                }
            }
            if failures >= MAX_FAILURES {
                return result;
            }
        }
    }
    result.and(purge_discarded(app).await)
}

async fn clean_organization(
    app: &App,
    organization_id: &OrganizationId,
    retention: Retention,
    expired_before: DateTime<Utc>,
) -> Result<()> {
    while expiry::delete_idempotency_keys(&app.db, organization_id, expired_before).await? {
        sleep(BATCH_PAUSE).await;
    }
    if let Some(age) = retention.bodies {
        redact_bodies(app, organization_id, app.clock.now() - age).await?;
    }
    if let Some(age) = retention.released {
        discard_released(app, organization_id, app.clock.now() - age).await?;
    }
    Ok(())
}

async fn delete_expired_deduplication(app: &App, before: DateTime<Utc>) -> Result<()> {
    while expiry::delete_router_commands(&app.db, before).await? {
        sleep(BATCH_PAUSE).await;
    }
    while expiry::delete_sent_messages(&app.db, before).await? {
        sleep(BATCH_PAUSE).await;
    }
    while expiry::delete_tapback_texts(&app.db, before).await? {
        sleep(BATCH_PAUSE).await;
    }
    while expiry::delete_forgotten_texts(&app.db, before).await? {
        sleep(BATCH_PAUSE).await;
    }
    Ok(())
}

async fn redact_bodies(app: &App, organization_id: &OrganizationId, before: DateTime<Utc>) -> Result<()> {
    if !retention::has_unredacted(&app.db, organization_id, before).await? {
        return Ok(());
    }
    for kind in [BodyKind::Messages, BodyKind::Reactions] {
        let mut after = Uuid::nil();
        loop {
            let now = app.clock.now();
            let progress = retention::redact(&app.db, organization_id, kind, before, after, now).await?;
            if !progress.more {
                break;
            }
            after = progress.after;
            sleep(BATCH_PAUSE).await;
        }
    }
    Ok(())
}

async fn discard_released(app: &App, organization_id: &OrganizationId, before: DateTime<Utc>) -> Result<()> {
    let mut after = Cursor { at: DateTime::UNIX_EPOCH, id: Uuid::nil() };
    loop {
        let page = retention::list_released(&app.db, organization_id, before, after).await?;
        // The same pair appears once for each of its connections.
        let ended: HashSet<_> = page.ended.into_iter().collect();
        for (identity_id, remote_number) in ended {
            let participants =
                Participants { organization_id: organization_id.clone(), identity_id, remote_number };
            let outcome = retention::discard(&app.db, participants, Some(before), app.clock.now()).await?;
            if outcome == DiscardOutcome::SendsInFlight {
                tracing::warn!("not discarded: a send is in flight on a connection past its retention");
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        after = next;
        sleep(BATCH_PAUSE).await;
    }
}

async fn purge_discarded(app: &App) -> Result<()> {
    loop {
        let discarded = retention::list_discarded(&app.db, None).await?;
        if discarded.is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        for (organization_id, conversation_id) in discarded {
            result = result.and(purge_conversation(app, &organization_id, conversation_id).await);
        }
        // Those that failed would be listed again.
        result?;
    }
}

async fn purge_conversation(app: &App, organization_id: &OrganizationId, id: ConversationId) -> Result<()> {
    loop {
        let now = app.clock.now();
        let redelivered_since = now - DEDUPLICATION_RETENTION;
        let purged = retention::purge(&app.db, organization_id, id, redelivered_since, now).await?;
        sleep(BATCH_PAUSE).await;
        if !purged.more {
            return Ok(());
        }
    }
}
