//! The background job that removes what has had its time: idempotency keys and the ids by which redeliveries and late
//! delivery news are recognised, each for a week; what retention limits; and what is left of discarded conversations.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::App;
use crate::domain::{Cursor, OrganizationId};
use crate::error::Result;
use crate::store::erasure::{self, Discarding, Pair};
use crate::store::retention::{self, Bodies};
use crate::store::sweeps;

/// How long it is kept. Carriers redeliver within hours, callers retry within minutes.
pub const KEPT: TimeDelta = TimeDelta::days(7);
/// How often the job runs.
const PERIOD: Duration = Duration::from_mins(10);
/// Between two batches, so that the job never takes the database for itself.
const PAUSE: Duration = Duration::from_millis(50);

/// How long what was said is kept; `None` = for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Texts, files, previews and custom emoji, from when they arrived or were sent.
    pub bodies: Option<TimeDelta>,
    /// Everything about a pair, from when its last connection was released.
    pub released: Option<TimeDelta>,
}

/// Sweeps now and then until the service stops.
pub async fn run(app: App, retention: Retention, stop: CancellationToken) {
    let mut rounds = interval(PERIOD);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sweeping = async {
        loop {
            rounds.tick().await;
            let swept = sweep(&app, retention).await;
            app.metrics.cleanup.record(swept.is_ok(), app.clock.now());
            if let Err(error) = swept {
                tracing::warn!(error = %error, "a sweep was given up; the next one goes on");
            }
        }
    };
    tokio::select! {
        () = sweeping => {}
        () = stop.cancelled() => {}
    }
}

/// One sweep, to its end.
///
/// # Errors
/// `StorageUnavailable`; what was removed by then stays removed.
pub async fn sweep(app: &App, retention: Retention) -> Result<()> {
    let before = app.clock.now() - KEPT;
    while sweeps::router_commands(&app.db, before).await? {
        sleep(PAUSE).await;
    }
    while sweeps::sent_messages(&app.db, before).await? {
        sleep(PAUSE).await;
    }
    while sweeps::tapback_texts(&app.db, before).await? {
        sleep(PAUSE).await;
    }
    while sweeps::forgotten_texts(&app.db, before).await? {
        sleep(PAUSE).await;
    }
    // First what an erase or a sweep left behind when it was killed: it has waited longest.
    purge_discarded(app).await?;
    let mut after = String::new();
    loop {
        let organizations = sweeps::organizations_after(&app.db, &after).await?;
        let Some(last) = organizations.last() else { break };
        last.as_str().clone_into(&mut after);
        for organization_id in &organizations {
            while sweeps::idempotency_keys(&app.db, organization_id, before).await? {
                sleep(PAUSE).await;
            }
            if let Some(age) = retention.bodies {
                blank_bodies(app, organization_id, app.clock.now() - age).await?;
            }
            if let Some(age) = retention.released {
                discard_released(app, organization_id, app.clock.now() - age).await?;
            }
        }
    }
    purge_discarded(app).await
}

async fn blank_bodies(app: &App, organization_id: &OrganizationId, before: DateTime<Utc>) -> Result<()> {
    if !retention::to_be_blanked(&app.db, organization_id, before).await? {
        return Ok(());
    }
    for bodies in [Bodies::Messages, Bodies::Reactions] {
        let mut after = Uuid::nil();
        loop {
            let now = app.clock.now();
            let progress = retention::blank(&app.db, organization_id, bodies, before, after, now).await?;
            if !progress.more {
                break;
            }
            after = progress.after;
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn discard_released(app: &App, organization_id: &OrganizationId, before: DateTime<Utc>) -> Result<()> {
    let mut after = Cursor { at: DateTime::UNIX_EPOCH, id: Uuid::nil() };
    loop {
        let page = retention::released(&app.db, organization_id, before, after).await?;
        // A pair has as many rows as it had connections.
        let pairs: HashSet<_> = page.over.into_iter().collect();
        for (identity_id, remote_number) in pairs {
            let pair = Pair { organization_id: organization_id.clone(), identity_id, remote_number };
            let discarding = erasure::discard(&app.db, pair, Some(before), app.clock.now()).await?;
            if discarding == Discarding::SendsUnderWay {
                tracing::warn!("a send is under way on a connection that was released long ago");
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        after = next;
        sleep(PAUSE).await;
    }
}

async fn purge_discarded(app: &App) -> Result<()> {
    loop {
        let discarded = erasure::some_discarded(&app.db, None).await?;
        if discarded.is_empty() {
            return Ok(());
        }
        for (organization_id, conversation_id) in discarded {
            loop {
                let now = app.clock.now();
                let purged =
                    erasure::purge(&app.db, &organization_id, conversation_id, now - KEPT, now).await?;
                sleep(PAUSE).await;
                if !purged.more {
                    break;
                }
            }
        }
    }
}
