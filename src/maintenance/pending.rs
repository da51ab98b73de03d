//! Background reconciliation: asks carriers about messages whose outcome is unknown, so that the agent learns it without
//! repeating the send. Nothing is resent.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::OrganizationId;
use crate::error::Result;
use crate::messaging::outbound;
use crate::store::messages;
use crate::store::retention::expiry;

/// Time between two runs.
const INTERVAL: Duration = Duration::from_mins(1);
/// Age after which carriers are not asked any more: by then they have sent the message or never will.
const MAX_AGE: TimeDelta = TimeDelta::days(1);
/// Maximum number of messages of one organization in a run, so that one whose carrier is away keeps nobody waiting.
const MAX_MESSAGES: i64 = 10;

/// Reconciles at a fixed interval until `stop` is cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            result = run_once(&app) => match result {
                Ok(0) => {}
                Ok(found) => tracing::info!(messages = found, "pending messages were found at their carriers"),
                Err(error) => tracing::debug!(error = %error, "pending messages were not reconciled"),
            },
            () = stop.cancelled() => return,
        }
    }
}

/// Reconciles the pending messages of every organization once, the newest first. Returns for how many there was an outcome.
///
/// # Errors
/// `StorageUnavailable`. A failure of one organization is that of its messages alone.
pub async fn run_once(app: &App) -> Result<usize> {
    let (mut after, mut found) = (String::new(), 0);
    loop {
        let organizations = expiry::list_organizations(&app.db, &after).await?;
        let Some(last) = organizations.last() else { return Ok(found) };
        last.as_str().clone_into(&mut after);
        for organization_id in &organizations {
            match reconcile(app, organization_id).await {
                Ok(of_organization) => found += of_organization,
                Err(error) => tracing::debug!(error = %error, "pending messages were not reconciled"),
            }
        }
    }
}

async fn reconcile(app: &App, organization_id: &OrganizationId) -> Result<usize> {
    let now = app.clock.now();
    // A younger one may still be in progress, on any replica.
    let in_progress = outbound::max_send_duration(app.limits.line_time_out);
    let until = now - TimeDelta::from_std(in_progress).unwrap_or(MAX_AGE);
    let pending =
        messages::list_pending(&app.db, organization_id, now - MAX_AGE, until, MAX_MESSAGES).await?;
    let mut found = 0;
    for id in pending {
        if outbound::reconcile_by_id(app, organization_id, id).await? {
            found += 1;
        }
    }
    Ok(found)
}
