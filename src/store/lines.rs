//! The phone numbers we send from.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Database, Failure};
use crate::domain::{LineRole, PhoneNumber};

/// Why a line was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdded {
    /// The number is a line already.
    Exists,
    /// There is a router line already, and there can be one.
    RouterExists,
}

/// Adds a line. It works at once, on every replica.
pub async fn add(
    db: &Database,
    number: &PhoneNumber,
    role: LineRole,
    now: DateTime<Utc>,
) -> Result<Result<(), NotAdded>, Failure> {
    let mut session = db.look_up().await?;
    let added = session
        .run(|connection| async move {
            query!(
                "INSERT INTO lines (number, role, created_at) VALUES ($1, $2, $3)",
                number.as_str(),
                role.number(),
                now,
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await;
    match added {
        Ok(()) => Ok(Ok(())),
        Err(failure) if failure.violates("lines_pkey") => Ok(Err(NotAdded::Exists)),
        Err(failure) if failure.violates("lines_one_router") => Ok(Err(NotAdded::RouterExists)),
        Err(failure) => Err(failure),
    }
}

/// The number that humans text to connect; `None` while no router line was added.
pub async fn router_number(db: &Database) -> Result<Option<PhoneNumber>, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
            let row = query!("SELECT number FROM lines WHERE role = 1").fetch_optional(connection).await?;
            Ok(row.map(|row| row.number.into()))
        })
        .await
}
