//! Watching a standby: beats, and which of them have come through.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sqlx::query;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Standby;
use crate::store::link::{DatabaseTarget, DbConnection};
use crate::store::{Database, StoreError};

/// How often a beat is sent. An organization that wrote reads from the primary for one to two of these, and what the
/// standby takes.
const ROUND: Duration = Duration::from_millis(250);
/// How long a step of a round may take.
const STEP_LIMIT: Duration = Duration::from_secs(1);
/// How many beats are remembered that have not come through: more than fit into any useful lag, see `INKBOX_DATABASE_READ_LAG`.
const BEATS: usize = 512;

/// A beat that was committed on the primary.
struct Beat {
    number: i64,
    /// The newest write of before it.
    write: u64,
    sent_at: Instant,
}

/// Sends the beats and looks for them. The database's own connections are left alone: a busy pool is no lag.
pub(in crate::store) struct Watch {
    standby: Arc<Standby>,
    primary: DatabaseTarget,
    secondary: DatabaseTarget,
    /// Told when another server answers in the standby's place.
    db: Database,
    /// Whose beats these are: other processes have theirs.
    process_id: Uuid,
    last: i64,
    sent: VecDeque<Beat>,
    to_primary: Option<DbConnection>,
    to_secondary: Option<DbConnection>,
}

impl Watch {
    pub(in crate::store) fn new(
        standby: Arc<Standby>,
        primary: DatabaseTarget,
        secondary: DatabaseTarget,
        db: Database,
    ) -> Self {
        let process_id = Uuid::from_u128(rand::random());
        let sent = VecDeque::with_capacity(BEATS);
        Self {
            standby,
            primary,
            secondary,
            db,
            process_id,
            last: 0,
            sent,
            to_primary: None,
            to_secondary: None,
        }
    }

    /// Watches for ever.
    pub(in crate::store) async fn run(mut self) {
        loop {
            // Without the primary no beat goes out; the standby is then good for as long as its last one says.
            if !matches!(timeout(STEP_LIMIT, self.beat()).await, Ok(Ok(()))) {
                self.to_primary = None;
            }
            match timeout(STEP_LIMIT, self.look()).await {
                Ok(Ok(Some(number))) => self.has_come_through(number),
                Ok(Ok(None)) => {}
                problem => {
                    self.to_secondary = None;
                    match problem {
                        Ok(Err(failure)) => self.standby.distrust(&failure),
                        _ => self.standby.distrust(&"no answer"),
                    }
                }
            }
            sleep(ROUND).await;
        }
    }

    async fn beat(&mut self) -> Result<(), StoreError> {
        let link = match &mut self.to_primary {
            Some(link) => link,
            None => {
                let link = self.to_primary.insert(DbConnection::open(&self.primary).await?);
                forget_the_dead(link).await?;
                link
            }
        };
        // The writes first: all that are noted here are done before the beat's commit begins.
        let beat =
            Beat { number: self.last + 1, write: self.standby.marks.latest(), sent_at: Instant::now() };
        // Even if the answer is lost, the number is used.
        self.last = beat.number;
        query!(
            "INSERT INTO standby_beats (process_id, beat, beaten_at) VALUES ($1, $2, now())
             ON CONFLICT (process_id) DO UPDATE SET beat = excluded.beat, beaten_at = excluded.beaten_at",
            self.process_id,
            beat.number,
        )
        .execute(link)
        .await?;
        if self.sent.len() == BEATS {
            self.sent.pop_front();
        }
        self.sent.push_back(beat);
        Ok(())
    }

    /// The newest beat that the standby shows.
    async fn look(&mut self) -> Result<Option<i64>, StoreError> {
        let link = match &mut self.to_secondary {
            Some(link) => link,
            None => {
                let mut link = DbConnection::open(&self.secondary).await?;
                if !link.settings_intact().await? {
                    return Err(StoreError::Unavailable("INKBOX_DATABASE_READ_URL leads to a pooler"));
                }
                let server = started_at(&mut link).await?;
                // Nothing is known of it yet, whatever was known of the one before.
                self.standby.with(|state| {
                    state.server = Some(server);
                    state.good_until = None;
                });
                self.db.distrust_idle_of_standby();
                self.to_secondary.insert(link)
            }
        };
        let row = query!("SELECT beat FROM standby_beats WHERE process_id = $1", self.process_id)
            .fetch_optional(link)
            .await?;
        Ok(row.map(|row| row.beat))
    }

    fn has_come_through(&mut self, number: i64) {
        while self.sent.front().is_some_and(|beat| beat.number < number) {
            self.sent.pop_front();
        }
        // Not there when its answer was lost, or so many have gone out since that it is too old anyway.
        let Some(beat) = self.sent.front().filter(|beat| beat.number == number) else { return };
        self.standby.shows(beat.write, beat.sent_at);
    }
}

/// When a server was started: no two servers of one name have the same.
pub(in crate::store) async fn started_at(
    link: &mut DbConnection,
) -> sqlx::Result<chrono::DateTime<chrono::Utc>> {
    let row = query!(r#"SELECT pg_postmaster_start_time() AS "started_at!""#).fetch_one(link).await?;
    Ok(row.started_at)
}

/// Removes the rows of processes that ended.
async fn forget_the_dead(link: &mut DbConnection) -> Result<(), StoreError> {
    query!("DELETE FROM standby_beats WHERE beaten_at < now() - interval '1 day'").execute(link).await?;
    Ok(())
}
