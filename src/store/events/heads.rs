//! Where the logs begin and end.

use sqlx::query;
use uuid::Uuid;

use crate::domain::OrganizationId;
use crate::store::{Affects, Database, StoreError};

/// The extent of a log, and one place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// Number of the oldest event that is kept; `None` if none is.
    pub oldest: Option<i64>,
    /// Number of the newest event; 0 if there has never been one.
    pub last: i64,
    /// Its id; `None` if it is no longer kept.
    pub last_id: Option<Uuid>,
    /// The id of the event with the given number; `None` if there is none.
    pub id_at: Option<Uuid>,
}

/// The bounds of an organization's log, and the id of the event with this number.
pub async fn bounds(
    db: &Database,
    organization_id: &OrganizationId,
    sequence: i64,
) -> Result<LogBounds, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query events::bounds", |connection| async move {
            let row = query!(
                "SELECT l.last_sequence,
                        (SELECT e.sequence FROM events e WHERE e.organization_id = $1
                         ORDER BY e.sequence LIMIT 1) AS oldest,
                        (SELECT e.id FROM events e
                         WHERE e.organization_id = $1 AND e.sequence = l.last_sequence) AS last_id,
                        (SELECT e.id FROM events e WHERE e.organization_id = $1 AND e.sequence = $2) AS id_at
                 FROM event_logs l WHERE l.organization_id = $1",
                organization_id.as_str(),
                sequence,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map_or(LogBounds { oldest: None, last: 0, last_id: None, id_at: None }, |row| LogBounds {
                oldest: row.oldest,
                last: row.last_sequence,
                last_id: row.last_id,
                id_at: row.id_at,
            }))
        })
        .await
}

/// The numbers of the newest events of organizations, without those that never had one.
pub async fn last_sequences(
    db: &Database,
    organization_ids: &[OrganizationId],
) -> Result<Vec<(OrganizationId, i64)>, StoreError> {
    let ids: Vec<&str> = organization_ids.iter().map(OrganizationId::as_str).collect();
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query events::last_sequences", |connection| async move {
            let rows = query!(
                "SELECT organization_id, last_sequence FROM event_logs WHERE organization_id = ANY ($1)",
                &ids as &[&str],
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| (row.organization_id.into(), row.last_sequence)).collect())
        })
        .await
}
