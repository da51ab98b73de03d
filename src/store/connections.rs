//! Connections: listing and ending them. Making one is a router command, see `router_commands`.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::{Database, Failure, Link};
use crate::domain::{
    Connection, ConnectionId, ConversationId, IdentityId, OrganizationId, Page, PageRequest, Position,
};

struct Row {
    id: Uuid,
    agent_identity_id: Uuid,
    remote_number: String,
    released_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn connection(self, organization_id: &OrganizationId) -> Connection {
        Connection {
            id: self.id.into(),
            organization_id: organization_id.clone(),
            agent_identity_id: self.agent_identity_id.into(),
            remote_number: self.remote_number.into(),
            released_at: self.released_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// The active connections of an organization, of one identity where one is named, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    page: &PageRequest,
) -> Result<Page<Connection>, Failure> {
    let after = page.after();
    let mut reading = db.reading(organization_id).await?;
    let rows = reading
        .run(|connection| async move {
            let rows = match identity_id {
                None => {
                    query_as!(
                        Row,
                        "SELECT id, agent_identity_id, remote_number, released_at, created_at, updated_at
                         FROM connections
                         WHERE organization_id = $1 AND released_at IS NULL AND (created_at, id) < ($2, $3)
                         ORDER BY created_at DESC, id DESC
                         LIMIT $4 OFFSET $5",
                        organization_id.as_str(),
                        after.at,
                        after.id,
                        page.rows_to_read(),
                        page.offset(),
                    )
                    .fetch_all(connection)
                    .await?
                }
                // `-infinity` stands in the condition of the index as well: see migrations/0001_initial.sql.
                Some(identity_id) => {
                    query_as!(
                        Row,
                        "SELECT id, agent_identity_id, remote_number, released_at, created_at, updated_at
                         FROM connections
                         WHERE organization_id = $1 AND agent_identity_id = $6 AND released_at IS NULL
                           AND created_at > '-infinity' AND (created_at, id) < ($2, $3)
                         ORDER BY created_at DESC, id DESC
                         LIMIT $4 OFFSET $5",
                        organization_id.as_str(),
                        after.at,
                        after.id,
                        page.rows_to_read(),
                        page.offset(),
                        identity_id.uuid(),
                    )
                    .fetch_all(connection)
                    .await?
                }
            };
            Ok(rows)
        })
        .await?;
    let rows = rows.into_iter().map(|row| row.connection(organization_id)).collect();
    Ok(Page::cut(rows, page.limit, |row: &Connection| Position { at: row.created_at, id: row.id.uuid() }))
}

/// The conversation that an active connection carries; `None` before its first message, or when there is no such
/// connection.
pub async fn conversation_of(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConnectionId,
) -> Result<Option<ConversationId>, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
            let row = query!(
                "SELECT c.id FROM connections k
                 JOIN conversations c ON c.organization_id = $1 AND c.agent_identity_id = k.agent_identity_id
                                     AND c.remote_number = k.remote_number
                 WHERE k.organization_id = $1 AND k.id = $2 AND k.released_at IS NULL",
                organization_id.as_str(),
                id.uuid(),
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.id.into()))
        })
        .await
}

/// Ends a connection and returns it as it is then; `None` when the organization has no such active connection.
pub async fn release(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConnectionId,
    now: DateTime<Utc>,
) -> Result<Option<Connection>, Failure> {
    // Four tables must agree on whether the two are connected.
    let owner = organization_id.clone();
    db.transaction_for(organization_id, move |connection| {
        let organization_id = owner.clone();
        Box::pin(async move { release_in(connection, &organization_id, id, now).await })
    })
    .await
}

/// [`release`] inside a transaction of the caller's. From the commit on no text of this human and no send to it
/// is taken on this connection.
pub(super) async fn release_in(
    connection: &mut Link,
    organization_id: &OrganizationId,
    id: ConnectionId,
    now: DateTime<Utc>,
) -> Result<Option<Connection>, Failure> {
    let released = query!(
        "UPDATE connections SET released_at = $3, updated_at = $3
         WHERE organization_id = $1 AND id = $2 AND released_at IS NULL
         RETURNING agent_identity_id, line_number, remote_number, created_at",
        organization_id.as_str(),
        id.uuid(),
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(released) = released else { return Ok(None) };
    query!(
        "UPDATE conversations SET assignment_released = true, updated_at = greatest(updated_at, $5)
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3 AND assignment_id = $4",
        organization_id.as_str(),
        released.agent_identity_id,
        released.remote_number,
        id.uuid(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    query!(
        "DELETE FROM routes WHERE line_number = $1 AND remote_number = $2 AND connection_id = $3",
        released.line_number,
        released.remote_number,
        id.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    // Last, since every connect and release on this line queues for this row.
    query!(
        "UPDATE lines SET active_connections = active_connections - 1 WHERE number = $1",
        released.line_number
    )
    .execute(connection)
    .await?;
    Ok(Some(Connection {
        id,
        organization_id: organization_id.clone(),
        agent_identity_id: released.agent_identity_id.into(),
        remote_number: released.remote_number.into(),
        released_at: Some(now),
        created_at: released.created_at,
        updated_at: now,
    }))
}
