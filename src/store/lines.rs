//! Lines: the phone numbers that messages are sent from and received on.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{AuditedChange, CarrierKind, LineRole, PhoneNumber};

/// Why [`add`] added no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdded {
    /// The number is a line already.
    Exists,
    /// There is a router line already, and there can be only one.
    RouterExists,
}

/// Why [`remove`] removed no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRemoved {
    /// The number is not a line.
    Unknown,
    /// The line has active connections: this many.
    InUse(i32),
}

/// Why [`pause`] or [`resume`] changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPausable {
    /// The number is not a line.
    Unknown,
    /// The router line takes no connections.
    Router,
}

/// A line, as operators see it.
#[derive(Debug, Clone)]
pub struct Line {
    pub number: PhoneNumber,
    pub role: LineRole,
    pub carrier: CarrierKind,
    pub active_connections: i32,
    /// Since when it takes no new connections; `None` if it takes them.
    pub paused_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Adds a line, which is usable immediately on every replica.
pub async fn add(
    db: &Database,
    number: &PhoneNumber,
    role: LineRole,
    carrier: CarrierKind,
    now: DateTime<Utc>,
) -> Result<Result<(), NotAdded>, StoreError> {
    let number = number.clone();
    // One transaction, because the audit log must agree.
    db.transaction(Affects::None, "transaction lines::add", move |connection| {
        let number = number.clone();
        Box::pin(async move {
            // Without a violation, whose key PostgreSQL would log.
            let added = query!(
                "INSERT INTO lines (number, role, carrier, created_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT DO NOTHING",
                number.as_str(),
                role.number(),
                carrier.number(),
                now,
            )
            .execute(&mut *connection)
            .await?;
            if added.rows_affected() == 0 {
                let same = active_connections(connection, &number).await?;
                return Ok(Err(if same.is_some() { NotAdded::Exists } else { NotAdded::RouterExists }));
            }
            let detail = format!("role={} carrier={}", role.name(), carrier.name());
            connection.audit(AuditedChange::global("line.add", number.as_str(), detail))?;
            Ok(Ok(()))
        })
    })
    .await
}

/// `None` if the number is not a line.
async fn active_connections(
    connection: &mut DbConnection,
    number: &PhoneNumber,
) -> Result<Option<i32>, StoreError> {
    let line = query!("SELECT active_connections FROM lines WHERE number = $1", number.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(line.map(|line| line.active_connections))
}

/// All lines, by number.
pub async fn list(db: &Database) -> Result<Vec<Line>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query lines::list", |connection| async move {
            let rows = query!(
                "SELECT number, role, carrier, active_connections, paused_at, created_at FROM lines ORDER BY number"
            )
            .fetch_all(connection)
            .await?;
            let lines = rows.into_iter().filter_map(|row| {
                Some(Line {
                    number: row.number.into(),
                    role: LineRole::from_number(row.role)?,
                    carrier: CarrierKind::from_number(row.carrier)?,
                    active_connections: row.active_connections,
                    paused_at: row.paused_at,
                    created_at: row.created_at,
                })
            });
            Ok(lines.collect())
        })
        .await
}

/// Removes a line without active connections. Conversations that it carried stay. A connect that has chosen the line and is
/// not committed yet either keeps it or fails.
pub async fn remove(db: &Database, number: &PhoneNumber) -> Result<Result<(), NotRemoved>, StoreError> {
    let number = number.clone();
    // One transaction, because the audit log must agree.
    db.transaction(Affects::None, "transaction lines::remove", move |connection| {
        let number = number.clone();
        Box::pin(async move {
            let removed =
                query!("DELETE FROM lines WHERE number = $1 AND active_connections = 0", number.as_str())
                    .execute(&mut *connection)
                    .await?;
            if removed.rows_affected() == 0 {
                let used = active_connections(connection, &number).await?;
                return Ok(Err(used.map_or(NotRemoved::Unknown, NotRemoved::InUse)));
            }
            connection.audit(AuditedChange::global("line.remove", number.as_str(), ""))?;
            Ok(Ok(()))
        })
    })
    .await
}

/// Excludes a pool line from new connections. Its connections go on.
pub async fn pause(
    db: &Database,
    number: &PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Result<(), NotPausable>, StoreError> {
    set_paused_at(db, number, Some(now)).await
}

/// Ends the pause of a pool line.
pub async fn resume(db: &Database, number: &PhoneNumber) -> Result<Result<(), NotPausable>, StoreError> {
    set_paused_at(db, number, None).await
}

async fn set_paused_at(
    db: &Database,
    number: &PhoneNumber,
    paused_at: Option<DateTime<Utc>>,
) -> Result<Result<(), NotPausable>, StoreError> {
    let number = number.clone();
    // One transaction, because the audit log must agree.
    db.transaction(Affects::None, "transaction lines::set_paused_at", move |connection| {
        let number = number.clone();
        Box::pin(async move {
            let changed = query!(
                "UPDATE lines SET paused_at = $2 WHERE number = $1 AND role = 2",
                number.as_str(),
                paused_at,
            )
            .execute(&mut *connection)
            .await?;
            if changed.rows_affected() == 0 {
                let line = active_connections(connection, &number).await?;
                return Ok(Err(if line.is_some() { NotPausable::Router } else { NotPausable::Unknown }));
            }
            let action = if paused_at.is_some() { "line.pause" } else { "line.resume" };
            connection.audit(AuditedChange::global(action, number.as_str(), ""))?;
            Ok(Ok(()))
        })
    })
    .await
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
