//! Finding what ended long ago.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::domain::{Cursor, IdentityId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// Most connections that are looked at in one statement.
const PAGE: i64 = 200;

/// Some released connections of an organization.
#[derive(Debug, Clone)]
pub struct ReleasedPage {
    /// Those of them that were the last of their pair: identity and human.
    pub over: Vec<(IdentityId, PhoneNumber)>,
    /// The last connection that was looked at; `None` when there are no more.
    pub next: Option<Cursor>,
}

/// Looks at connections that ended before a time, after a position, oldest release first. A pair is over when it has
/// neither an active connection nor one that ended since.
pub async fn released(
    db: &Database,
    organization_id: &OrganizationId,
    before: DateTime<Utc>,
    after: Cursor,
) -> Result<ReleasedPage, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query retention::released::released", |connection| async move {
            // The inner limit bounds what is looked at, whatever becomes of it: pairs that came together again stay at
            // the old end of the index.
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
                PAGE,
            )
            .fetch_all(connection)
            .await?;
            let full = i64::try_from(rows.len()).unwrap_or(PAGE) >= PAGE;
            let next = rows.last().filter(|_| full).map(|row| Cursor { at: row.released_at, id: row.id });
            let mut over: Vec<(Uuid, String)> = rows
                .into_iter()
                .filter(|row| row.over)
                .map(|row| (row.agent_identity_id, row.remote_number))
                .collect();
            over.sort_unstable();
            over.dedup();
            let over = over.into_iter().map(|(identity, human)| (identity.into(), human.into())).collect();
            Ok(ReleasedPage { over, next })
        })
        .await
}
