//! The background job that removes what has had its time: idempotency keys, and the ids by which redelivered router
//! commands and late delivery news are recognised. Each for a week.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::store::sweeps;

/// How long it is kept. Carriers redeliver within hours, callers retry within minutes.
pub const KEPT: TimeDelta = TimeDelta::days(7);
/// How often the job runs.
const PERIOD: Duration = Duration::from_mins(10);
/// Between two batches, so that the job never takes the database for itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Sweeps now and then until the service stops.
pub async fn run(app: App, stop: CancellationToken) {
    let mut rounds = interval(PERIOD);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sweeping = async {
        loop {
            rounds.tick().await;
            let swept = sweep(&app).await;
            app.metrics.sweeps.ended(&swept, app.clock.now());
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
pub async fn sweep(app: &App) -> Result<()> {
    let before = app.clock.now() - KEPT;
    while sweeps::router_commands(&app.db, before).await? {
        sleep(PAUSE).await;
    }
    while sweeps::sent_messages(&app.db, before).await? {
        sleep(PAUSE).await;
    }
    let mut after = String::new();
    loop {
        let organizations = sweeps::organizations_after(&app.db, &after).await?;
        let Some(last) = organizations.last() else { return Ok(()) };
        last.as_str().clone_into(&mut after);
        for organization_id in &organizations {
            while sweeps::idempotency_keys(&app.db, organization_id, before).await? {
                sleep(PAUSE).await;
            }
        }
    }
}
