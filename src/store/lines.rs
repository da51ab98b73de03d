//! Lines: the phone numbers that messages are sent from and received on.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{CarrierKind, LineRole, PhoneNumber};

/// Why [`add`] added no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdded {
    /// The number is a line already.
    Exists,
    /// There is a router line already, and there can be only one.
    RouterExists,
}

/// Adds a line, which is usable immediately on every replica.
pub async fn add(
    db: &Database,
    number: &PhoneNumber,
    role: LineRole,
    carrier: CarrierKind,
    now: DateTime<Utc>,
) -> Result<Result<(), NotAdded>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    let added = session
        .run("query lines::add", |connection| async move {
            query!(
                "INSERT INTO lines (number, role, carrier, created_at) VALUES ($1, $2, $3, $4)",
                number.as_str(),
                role.number(),
                carrier.number(),
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

/// The number that humans send commands to; `None` if no router line was added yet.
pub async fn router_number(db: &Database) -> Result<Option<PhoneNumber>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query lines::router_number", |connection| async move {
            let row = query!("SELECT number FROM lines WHERE role = 1").fetch_optional(connection).await?;
            Ok(row.map(|row| row.number.into()))
        })
        .await
}

/// The carrier of a line; `None` if the number is not a line.
pub async fn carrier(db: &Database, number: &PhoneNumber) -> Result<Option<CarrierKind>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query lines::carrier", |connection| async move {
            let row = query!("SELECT carrier FROM lines WHERE number = $1", number.as_str())
                .fetch_optional(connection)
                .await?;
            Ok(row.and_then(|row| CarrierKind::from_number(row.carrier)))
        })
        .await
}

/// The lines whose carrier is not the sandbox, with their carriers. Used at startup, before the pool is open.
pub async fn carried(connection: &mut DbConnection) -> Result<Vec<(PhoneNumber, CarrierKind)>, StoreError> {
    let rows = query!("SELECT number, carrier FROM lines WHERE carrier <> 1").fetch_all(connection).await?;
    let known =
        rows.into_iter().filter_map(|row| Some((row.number.into(), CarrierKind::from_number(row.carrier)?)));
    Ok(known.collect())
}

/// Role and carrier of a line; `None` if the number is not a line.
pub async fn find(
    db: &Database,
    number: &PhoneNumber,
) -> Result<Option<(LineRole, CarrierKind)>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query lines::find", |connection| async move {
            let row = query!("SELECT role, carrier FROM lines WHERE number = $1", number.as_str())
                .fetch_optional(connection)
                .await?;
            Ok(row.and_then(|row| LineRole::from_number(row.role).zip(CarrierKind::from_number(row.carrier))))
        })
        .await
}
