//! Background reconciliation: asks carriers about messages whose outcome is unknown, so that the agent learns it without
//! repeating the send. Nothing is resent. Each message is asked about by one process at a time, less often the older it is.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt as _;
use rand::RngExt as _;
use tokio::time::sleep;
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
/// Maximum number of messages of one organization in a run. The next run takes those whose look-up is the longest ago.
const MAX_MESSAGES: i64 = 10;
/// Maximum number of organizations at a time, so that one whose carrier is away does not keep the others waiting.
const MAX_CONCURRENT: usize = 8;
/// Maximum random delay of a run, so that replicas do not begin at the same moment.
const MAX_JITTER: Duration = Duration::from_secs(10);

/// Reconciles at the start and about every minute until `stop` is cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            result = run_once(&app) => match result {
                Ok(0) => {}
                Ok(found) => tracing::info!(messages = found, "pending messages were found at their carriers"),
                Err(error) => tracing::debug!(error = %error, "pending messages were not reconciled"),
            },
            () = stop.cancelled() => return,
        }
        let pause = INTERVAL + rand::rng().random_range(Duration::ZERO..MAX_JITTER);
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Reconciles pending messages of every organization once. Returns for how many there was an outcome.
///
/// # Errors
/// `StorageUnavailable`. A failure of one organization is that of its messages alone.
pub async fn run_once(app: &App) -> Result<usize> {
    let (mut after, mut found) = (String::new(), 0);
    loop {
        let organizations = expiry::list_organizations(&app.db, &after).await?;
        let Some(last) = organizations.last() else { return Ok(found) };
        last.as_str().clone_into(&mut after);
        let mut reconciling = Vec::with_capacity(organizations.len());
        for organization_id in organizations {
            reconciling.push(reconcile(app, organization_id));
        }
        let mut reconciled = futures_util::stream::iter(reconciling).buffer_unordered(MAX_CONCURRENT);
        while let Some(of_organization) = reconciled.next().await {
            match of_organization {
                Ok(of_organization) => found += of_organization,
                Err(error) => tracing::debug!(error = %error, "pending messages were not reconciled"),
            }
        }
    }
}

async fn reconcile(app: &App, organization_id: OrganizationId) -> Result<usize> {
    let now = app.clock.now();
    // A younger one may still be in progress, on any replica.
    let in_progress = outbound::max_send_duration(app.limits.line_time_out);
    let until = now - TimeDelta::from_std(in_progress).unwrap_or(MAX_AGE);
    let span = now - MAX_AGE..until;
    let pending = messages::take_pending(&app.db, &organization_id, span, now, MAX_MESSAGES).await?;
    let mut found = 0;
    for id in pending {
        if outbound::reconcile_by_id(app, &organization_id, id).await? {
            found += 1;
        }
    }
    Ok(found)
}
