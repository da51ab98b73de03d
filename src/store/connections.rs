//! Connections: listing and ending them. Making one is a router command, see `router_commands`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::{query, query_as};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Affects, Database, DbConnection, OPERATION_LIMIT, StoreError};
use crate::domain::{Connection, ConnectionId, IdentityId, OrganizationId, Page, PageRequest, Position};

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
) -> Result<Page<Connection>, StoreError> {
    let after = page.after();
    let mut session = db.read(organization_id).await?;
    let rows = session
        .run("query connections::list", |connection| async move {
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

/// How often the sends of a connection that is to end are looked at: they take as long as a carrier does.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How much longer than the longest send a release waits: a mark lasts longer by what its statement may have waited, and
/// the clocks of the marks and of this process are two.
const MARGIN: Duration = OPERATION_LIMIT.saturating_add(Duration::from_secs(1));

/// Ends a connection and returns it as it is then; `None` when the organization has no such active connection. Waits
/// for the sends that began before, none of which takes longer than `longest_send`; `now` tells when that is over.
pub async fn release(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConnectionId,
    now: impl Fn() -> DateTime<Utc> + Clone + Send + Sync + 'static,
    longest_send: Duration,
) -> Result<Option<Connection>, StoreError> {
    // Four tables must agree on whether the two are connected.
    let organization_id = organization_id.clone();
    after_sends(db, "transaction connections::release", longest_send, move |connection| {
        let (organization_id, now) = (organization_id.clone(), now());
        Box::pin(async move { release_in(connection, &organization_id, id, now).await })
    })
    .await
}

/// Runs a transaction that may end a connection: again and again while it meets sends under way, on whichever replica.
/// `work` names the organizations it changes ([`DbConnection::mark_affected`]).
/// From the first meeting on no other send of that connection is taken, so that the wait ends.
///
/// # Errors
/// Those of `work`; `SendsUnderWay` when the longest send would be over, which says that clocks are wrong.
pub(super) async fn after_sends<T, F>(
    db: &Database,
    span: &'static str,
    longest_send: Duration,
    work: F,
) -> Result<T, StoreError>
where
    F: for<'c> Fn(&'c mut DbConnection) -> BoxFuture<'c, Result<T, StoreError>>
        + Clone
        + Send
        + Sync
        + 'static,
    T: Send + 'static,
{
    let give_up = Instant::now() + longest_send + MARGIN;
    loop {
        match db.transaction(Affects::named(), span, work.clone()).await {
            Err(StoreError::SendsUnderWay { organization_id, connection_id }) if Instant::now() < give_up => {
                close(db, &organization_id, connection_id, longest_send).await?;
                sleep(LOOK_AGAIN).await;
            }
            other => return other,
        }
    }
}

/// Takes no more sends on a connection for so long. In the database's time, like the marks of the sends: the clocks of
/// replicas differ.
async fn close(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConnectionId,
    time: Duration,
) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query connections::close", |connection| async move {
            query!(
                "UPDATE conversations c SET closing_until = statement_timestamp() + make_interval(secs => $3)
                 FROM connections k
                 WHERE k.organization_id = $1 AND k.id = $2 AND k.released_at IS NULL
                   AND c.organization_id = $1 AND c.agent_identity_id = k.agent_identity_id
                   AND c.remote_number = k.remote_number AND c.assignment_id = $2
                   AND (c.closing_until IS NULL OR c.closing_until <= statement_timestamp())",
                organization_id.as_str(),
                id.uuid(),
                time.as_secs_f64(),
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
}

/// [`release`] inside a transaction of the caller's, to be run by [`after_sends`]. From the commit on no text of this
/// human and no send to it is taken on this connection, and none is on its way.
pub(super) async fn release_in(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    id: ConnectionId,
    now: DateTime<Utc>,
) -> Result<Option<Connection>, StoreError> {
    connection.mark_affected(organization_id);
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
        "UPDATE conversations SET assignment_released = true, closing_until = NULL, updated_at = greatest(updated_at, $5)
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3 AND assignment_id = $4",
        organization_id.as_str(),
        released.agent_identity_id,
        released.remote_number,
        id.uuid(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    // Looked for with the conversation locked: no send can begin any more.
    let under_way = query!(
        "SELECT id FROM messages
         WHERE organization_id = $1 AND assignment_id = $2 AND in_flight_until > clock_timestamp()
         LIMIT 1",
        organization_id.as_str(),
        id.uuid(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    if under_way.is_some() {
        return Err(StoreError::SendsUnderWay {
            organization_id: organization_id.clone(),
            connection_id: id,
        });
    }
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
