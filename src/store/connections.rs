//! Connections: list and release. Connections are created by router commands, see `router_commands`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::{query, query_as};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::newest_first::{convert, newest_first};
use super::{Affects, Database, DbConnection, OPERATION_LIMIT, StoreError};
use crate::domain::{
    AuditedChange, Connection, ConnectionId, EventType, IdentityId, NewEvent, OrganizationId, Page,
    PageRequest, PhoneNumber,
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

/// A page of the active connections of an organization, optionally of one identity, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    page: &PageRequest,
) -> Result<Page<Connection>, StoreError> {
    let mut session = db.read(organization_id).await?;
    let rows = session
        .run("query connections::list", |connection| async move {
            match identity_id {
                None => newest_first!(
                    Row,
                    connection,
                    organization_id,
                    page,
                    "SELECT id, agent_identity_id, remote_number, released_at, created_at, updated_at
                     FROM connections
                     WHERE organization_id = $1 AND released_at IS NULL",
                    offset
                ),
                // `created_at > '-infinity'` repeats the condition of the index: see
                // migrations/0001_initial.sql.
                Some(identity_id) => newest_first!(
                    Row,
                    connection,
                    organization_id,
                    page,
                    "SELECT id, agent_identity_id, remote_number, released_at, created_at, updated_at
                     FROM connections
                     WHERE organization_id = $1 AND agent_identity_id = $6 AND released_at IS NULL
                       AND created_at > '-infinity'",
                    offset,
                    identity_id.uuid()
                ),
            }
        })
        .await?;
    convert(rows, |row| Ok(row.connection(organization_id)))
}

/// Connections of an organization by id, released ones as well, without those that do not exist.
pub(super) async fn by_ids(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<Connection>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query_as!(
        Row,
        "SELECT id, agent_identity_id, remote_number, released_at, created_at, updated_at
         FROM connections
         WHERE organization_id = $1 AND id = ANY ($2)",
        organization_id.as_str(),
        ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.connection(organization_id)).collect())
}

/// Pauses between two looks at the sends that a release waits for: the first, and the longest. The first is short compared
/// with a carrier call, and the longest too short for a person to notice.
const LOOK_INTERVALS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// How much longer than the longest send a release waits: the in-flight mark of a send lasts longer by the
/// time its statement may have waited, and is set by another clock than this process's.
const RELEASE_MARGIN: Duration = OPERATION_LIMIT.saturating_add(Duration::from_secs(1));

/// Releases a connection and returns it; `None` if the organization has no such active connection. Waits for
/// the sends that are in flight, each of which takes at most `longest_send`; `now` is read again for each
/// attempt.
pub async fn release(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConnectionId,
    now: impl Fn() -> DateTime<Utc> + Clone + Send + Sync + 'static,
    longest_send: Duration,
) -> Result<Option<Connection>, StoreError> {
    // One transaction, because four tables must agree on whether the two are connected.
    let organization_id = organization_id.clone();
    after_sends(db, "transaction connections::release", longest_send, move |connection| {
        let (organization_id, now) = (organization_id.clone(), now());
        Box::pin(async move {
            let released = release_in(connection, &organization_id, id, now).await?;
            if released.is_some() {
                connection.audit(AuditedChange::of(&organization_id, "connection.release", &id, ""))?;
            }
            Ok(released)
        })
    })
    .await
}

/// Runs a transaction that may release a connection, and repeats it while sends on that connection are in
/// flight, on any replica. After the first attempt no new sends are accepted on the connection, so that the
/// wait ends. `work` must call [`DbConnection::mark_affected`] for the organizations it changes.
///
/// # Errors
/// Those of `work`; `SendsUnderWay` if a send is still in flight after the longest possible time, which means
/// that clocks are wrong.
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
    let deadline = Instant::now() + longest_send + RELEASE_MARGIN;
    let mut rejecting = None;
    loop {
        let result = match db.transaction(Affects::named(), span, work.clone()).await {
            Err(StoreError::SendsUnderWay { organization_id, connection_id })
                if Instant::now() < deadline =>
            {
                let (organization_id, id) = rejecting.insert((organization_id, connection_id));
                reject_sends(db, organization_id, *id, longest_send)
                    .await
                    .and(wait_for_sends(db, organization_id, SendsOf::Connection(*id), deadline).await)
            }
            result => {
                if let (Err(_), Some((organization_id, id))) = (&result, &rejecting) {
                    accept_sends(db, organization_id, *id).await;
                }
                return result;
            }
        };
        if let (Err(error), Some((organization_id, id))) = (result, &rejecting) {
            accept_sends(db, organization_id, *id).await;
            return Err(error);
        }
    }
}

/// Sends that somebody waits for.
#[derive(Debug, Clone, Copy)]
pub enum SendsOf<'a> {
    Connection(ConnectionId),
    Identity(IdentityId),
    /// Of an identity to one human.
    Recipient(IdentityId, &'a PhoneNumber),
}

/// Waits until none of these sends is in flight, on any replica, or until the deadline.
pub async fn wait_for_sends(
    db: &Database,
    organization_id: &OrganizationId,
    sends: SendsOf<'_>,
    deadline: Instant,
) -> Result<(), StoreError> {
    let (mut pause, longest_pause) = LOOK_INTERVALS;
    while are_in_flight(db, organization_id, sends).await? && Instant::now() < deadline {
        sleep(pause).await;
        pause = longest_pause.min(pause * 2);
    }
    Ok(())
}

async fn are_in_flight(
    db: &Database,
    organization_id: &OrganizationId,
    sends: SendsOf<'_>,
) -> Result<bool, StoreError> {
    let (connection_id, identity_id, number) = match sends {
        SendsOf::Connection(id) => (Some(id.uuid()), None, None),
        SendsOf::Identity(id) => (None, Some(id.uuid()), None),
        SendsOf::Recipient(id, number) => (None, Some(id.uuid()), Some(number.as_str())),
    };
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query connections::sends_in_flight", |connection| async move {
            // A send that is being recorded holds the lock of its conversation.
            if let Some(number) = number {
                query!(
                    "SELECT id FROM conversations
                     WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3 FOR SHARE",
                    organization_id.as_str(),
                    identity_id,
                    number,
                )
                .fetch_optional(&mut *connection)
                .await?;
            }
            let in_flight = query!(
                "SELECT m.id FROM messages m
                 JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                 WHERE m.organization_id = $1 AND m.in_flight_until > clock_timestamp()
                   AND ($2::uuid IS NULL OR m.assignment_id = $2)
                   AND ($3::uuid IS NULL OR m.agent_identity_id = $3)
                   AND ($4::text IS NULL OR c.remote_number = $4)
                 LIMIT 1",
                organization_id.as_str(),
                connection_id,
                identity_id,
                number,
            )
            .fetch_optional(connection)
            .await?;
            Ok(in_flight.is_some())
        })
        .await
}

/// Accepts sends again, because the release was given up. If this fails, the mark ends by itself.
async fn accept_sends(db: &Database, organization_id: &OrganizationId, id: ConnectionId) {
    let reopened = async {
        let mut session = db.acquire(Affects::organization(organization_id)).await?;
        session
            .run("query connections::reopen", |connection| async move {
                query!(
                    "UPDATE conversations c SET closing_until = NULL
                     FROM connections k
                     WHERE k.organization_id = $1 AND k.id = $2 AND c.organization_id = $1
                       AND c.agent_identity_id = k.agent_identity_id AND c.remote_number = k.remote_number
                       AND c.assignment_id = $2",
                    organization_id.as_str(),
                    id.uuid(),
                )
                .execute(connection)
                .await?;
                Ok::<_, StoreError>(())
            })
            .await
    };
    if let Err(error) = reopened.await {
        tracing::warn!(error = %error, "sends on a connection stay rejected until its mark ends");
    }
}

/// Rejects new sends on a connection for some time. The time is the database's, like that of the in-flight
/// marks, because the clocks of replicas differ.
async fn reject_sends(
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

/// [`release`] inside the caller's transaction, which must be run by [`after_sends`]. After the commit no
/// message of the human and no send to them is accepted on this connection, and no send is in flight.
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
    let conversation = query!(
        "UPDATE conversations SET assignment_released = true, closing_until = NULL, updated_at = greatest(updated_at, $5)
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3 AND assignment_id = $4
         RETURNING id",
        organization_id.as_str(),
        released.agent_identity_id,
        released.remote_number,
        id.uuid(),
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    // Checked while the conversation is locked, so that no send can begin any more.
    if has_sends_in_flight(connection, organization_id, id).await? {
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
    // Last, because every connect and release on this line waits for the lock of this row.
    query!(
        "UPDATE lines SET active_connections = active_connections - 1 WHERE number = $1",
        released.line_number
    )
    .execute(&mut *connection)
    .await?;
    let event = NewEvent::of_connection(
        EventType::ConnectionReleased,
        released.agent_identity_id.into(),
        conversation.map(|conversation| conversation.id.into()),
        id,
    );
    connection.log_event(organization_id, event)?;
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

async fn has_sends_in_flight(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    id: ConnectionId,
) -> Result<bool, StoreError> {
    let in_flight = query!(
        "SELECT id FROM messages
         WHERE organization_id = $1 AND assignment_id = $2 AND in_flight_until > clock_timestamp()
         LIMIT 1",
        organization_id.as_str(),
        id.uuid(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(in_flight.is_some())
}
