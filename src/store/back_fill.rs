//! Up to when the messages of a line were fetched from its carrier, and the lease under which one run at a time does it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query;
use uuid::Uuid;

use super::{Affects, Database, StoreError};
use crate::domain::{CarrierKind, PhoneNumber};

/// How long a run holds a line after its last page. A run whose process died gives the line back after this time.
pub const LEASE: TimeDelta = TimeDelta::minutes(2);

/// The lines of these carriers whose messages were not fetched since `due`, the longest waiting first.
pub async fn list_due(
    db: &Database,
    carriers: &[CarrierKind],
    due: DateTime<Utc>,
) -> Result<Vec<(PhoneNumber, CarrierKind)>, StoreError> {
    let carriers: Vec<i16> = carriers.iter().map(|carrier| carrier.number()).collect();
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query back_fill::list_due", |connection| async move {
            let rows = query!(
                "SELECT number, carrier FROM lines
                 WHERE carrier = ANY ($1) AND coalesce(back_filled_to, created_at) < $2
                 ORDER BY coalesce(back_filled_to, created_at), number",
                &carriers,
                due,
            )
            .fetch_all(connection)
            .await?;
            let lines = rows
                .into_iter()
                .filter_map(|row| Some((row.number.into(), CarrierKind::from_number(row.carrier)?)));
            Ok(lines.collect())
        })
        .await
}

/// A line that a run has taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Everything before was fetched.
    pub fetched_to: DateTime<Utc>,
    /// When the line was added.
    pub created_at: DateTime<Utc>,
}

/// Takes a line for a run; `None` if another one has it, or has fetched its messages since `due`.
pub async fn take(
    db: &Database,
    number: &PhoneNumber,
    holder: Uuid,
    due: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Taken>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query back_fill::take", |connection| async move {
            let row = query!(
                r#"UPDATE lines SET back_fill_holder = $2, back_fill_until = $3
                   WHERE number = $1 AND coalesce(back_filled_to, created_at) < $4
                     AND (back_fill_until IS NULL OR back_fill_until <= $5)
                   RETURNING coalesce(back_filled_to, created_at) AS "fetched_to!", created_at"#,
                number.as_str(),
                holder,
                now + LEASE,
                due,
                now,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| Taken { fetched_to: row.fetched_to, created_at: row.created_at }))
        })
        .await
}

/// Records that everything before `fetched_to` is stored, and extends the lease. False if the run has lost the line.
pub async fn advance(
    db: &Database,
    number: &PhoneNumber,
    holder: Uuid,
    fetched_to: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query back_fill::advance", |connection| async move {
            let done = query!(
                "UPDATE lines SET back_filled_to = greatest(back_filled_to, $3), back_fill_until = $4
                 WHERE number = $1 AND back_fill_holder = $2",
                number.as_str(),
                holder,
                fetched_to,
                now + LEASE,
            )
            .execute(connection)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
}

/// Gives the line back.
pub async fn release(db: &Database, number: &PhoneNumber, holder: Uuid) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query back_fill::release", |connection| async move {
            query!(
                "UPDATE lines SET back_fill_holder = NULL, back_fill_until = NULL
                 WHERE number = $1 AND back_fill_holder = $2",
                number.as_str(),
                holder,
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
}

/// The oldest time up to which a line of these carriers was fetched; `None` if they have no line.
pub async fn oldest(db: &Database, carriers: &[CarrierKind]) -> Result<Option<DateTime<Utc>>, StoreError> {
    let carriers: Vec<i16> = carriers.iter().map(|carrier| carrier.number()).collect();
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query back_fill::oldest", |connection| async move {
            let row = query!(
                "SELECT min(coalesce(back_filled_to, created_at)) AS oldest FROM lines WHERE carrier = ANY ($1)",
                &carriers,
            )
            .fetch_one(connection)
            .await?;
            Ok(row.oldest)
        })
        .await
}
