//! Finds out about commits of other processes.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::store::{Database, StoreError, events};

/// Pauses between two polls: the first after a commit was seen, and the longest. Events come in bursts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));
/// Organizations that one statement asks for.
const BATCH_SIZE: usize = 1_000;

/// Wakes the readers of this process when another one has committed events, until `stop` is cancelled: one statement for
/// each thousand organizations that have readers.
pub async fn run(db: Database, stop: CancellationToken) {
    tokio::select! {
        () = poll(&db) => {}
        () = stop.cancelled() => {}
    }
}

async fn poll(db: &Database) {
    let (shortest, longest) = PAUSES;
    let mut pause = longest;
    loop {
        db.event_heads().until_watched().await;
        sleep(pause).await;
        let polled = poll_once(db).await;
        db.event_heads().reached(polled.is_ok());
        pause = match polled {
            Ok(true) => shortest,
            Ok(false) => longest.min(pause * 2),
            Err(error) => {
                let error = Error::from(error);
                tracing::debug!(error = %error, "events of other processes were not looked for");
                longest
            }
        };
    }
}

async fn poll_once(db: &Database) -> Result<bool, StoreError> {
    let mut found = false;
    for watched in db.event_heads().watched().chunks(BATCH_SIZE) {
        for (organization_id, head) in events::last_sequences(db, watched).await? {
            found |= db.event_heads().advance(&organization_id, head);
        }
    }
    Ok(found)
}
