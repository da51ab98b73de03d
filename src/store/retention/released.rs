//! Finds pairs of identity and human whose connections all ended before a point in time.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::domain::{Cursor, IdentityId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// Connections per page.
const PAGE_SIZE: i64 = 200;

/// A page of released connections of an organization.
#[derive(Debug, Clone)]
pub struct ReleasedPage {
    /// Identity and human of those connections that were the last of their pair.
    pub ended: Vec<(IdentityId, PhoneNumber)>,
    /// Cursor of the last connection of the page; `None` if there are no more.
    pub next: Option<Cursor>,
}

/// Lists connections released before a point in time, oldest release first. A pair has ended if it has
/// neither an active connection nor one released later.
pub async fn list_released(
    db: &Database,
    organization_id: &OrganizationId,
    before: DateTime<Utc>,
    after: Cursor,
) -> Result<ReleasedPage, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query retention::released::released", |connection| async move {
            // The inner limit bounds the rows that are read: pairs that reconnected stay at the old end of
            // the index and are filtered only afterwards.
            let rows = query!(
                r#"SELECT k.id, k.agent_identity_id, k.remote_number, k.released_at AS "released_at!",
                          NOT EXISTS (SELECT l.id FROM connections l
                                      WHERE l.organization_id = $1 AND l.remote_number = k.remote_number
                                        AND l.agent_identity_id = k.agent_identity_id
                                        AND (l.released_at IS NULL OR l.released_at >= $2)) AS "over!"
                   FROM (SELECT id, agent_identity_id, remote_number, released_at FROM connections
                         WHERE organization_id = $1 AND released_at < $2 AND (released_at, id) > ($3, $4)
                         ORDER BY released_at, id
                         LIMIT $5) k
                   ORDER BY k.released_at, k.id"#,
                organization_id.as_str(),
                before,
                after.at,
                after.id,
                PAGE_SIZE,
            )
            .fetch_all(connection)
            .await?;
            let is_full = i64::try_from(rows.len()).unwrap_or(PAGE_SIZE) >= PAGE_SIZE;
            let next = rows.last().filter(|_| is_full).map(|row| Cursor { at: row.released_at, id: row.id });
            let mut ended: Vec<(Uuid, String)> = rows
                .into_iter()
                .filter(|row| row.over)
                .map(|row| (row.agent_identity_id, row.remote_number))
                .collect();
            ended.sort_unstable();
            ended.dedup();
            let ended = ended.into_iter().map(|(identity, human)| (identity.into(), human.into())).collect();
            Ok(ReleasedPage { ended, next })
        })
        .await
}
