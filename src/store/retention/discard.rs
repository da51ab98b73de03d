//! Discards a conversation together with all connections of its identity and human.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use crate::domain::{ConversationId, IdentityId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, DbConnection, StoreError};

/// An identity and a human.
#[derive(Debug, Clone)]
pub struct Participants {
    /// Organization of the identity.
    pub organization_id: OrganizationId,
    /// The identity.
    pub identity_id: IdentityId,
    /// Number of the human.
    pub remote_number: PhoneNumber,
}

/// A discarded pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discarded {
    /// How many connections were deleted.
    pub connections: u64,
    /// The conversation, whose messages must be purged; `None` if the human never sent a message.
    pub conversation_id: Option<ConversationId>,
}

/// Result of [`discard`]. Nothing was changed unless it is `Discarded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardOutcome {
    /// Connections and conversation were deleted.
    Discarded(Discarded),
    /// A connection is active, or was released at or after the given time.
    StillConnected,
    /// A send on one of the connections has no recorded result yet.
    SendsInFlight,
    /// There is neither a connection nor a conversation.
    NotFound,
}

/// Discards the conversation and all connections of an identity and a human, unless one of the connections is
/// active or was released at or after `ended_before`.
pub async fn discard(
    db: &Database,
    participants: Participants,
    ended_before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<DiscardOutcome, StoreError> {
    // One transaction, because a concurrent message or connect must see all of these rows or none.
    db.transaction(
        Affects::organization(&participants.organization_id),
        "transaction erasure::discard::discard",
        move |connection| {
            let participants = participants.clone();
            Box::pin(async move { discard_in(connection, &participants, ended_before, now).await })
        },
    )
    .await
}

async fn discard_in(
    connection: &mut DbConnection,
    participants: &Participants,
    ended_before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<DiscardOutcome, StoreError> {
    let lines = lock_contact_history(connection, participants).await?;
    let connections = lock_connections(connection, participants).await?;
    let has_ended = |released_at: Option<DateTime<Utc>>| {
        released_at.is_some_and(|released_at| ended_before.is_none_or(|before| released_at < before))
    };
    if !connections.iter().all(|row| has_ended(row.released_at)) {
        return Ok(DiscardOutcome::StillConnected);
    }
    // An uncommitted connect is not among the connections. It also updates the conversation, so the lock
    // waits for it.
    let conversation = query!(
        "SELECT id, assignment_released FROM conversations
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3
         FOR UPDATE",
        participants.organization_id.as_str(),
        participants.identity_id.uuid(),
        participants.remote_number.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    if conversation.as_ref().is_some_and(|conversation| !conversation.assignment_released) {
        return Ok(DiscardOutcome::StillConnected);
    }
    let connection_ids: Vec<Uuid> = connections.into_iter().map(|row| row.id).collect();
    if connection_ids.is_empty() && conversation.is_none() {
        return Ok(DiscardOutcome::NotFound);
    }
    if has_sends_in_flight(connection, &participants.organization_id, &connection_ids).await? {
        return Ok(DiscardOutcome::SendsInFlight);
    }
    let conversation_id = conversation.map(|conversation| conversation.id);
    if let Some(id) = conversation_id {
        discard_conversation(connection, &participants.organization_id, id, now).await?;
    }
    discard_connections(connection, participants, &connection_ids, &lines).await?;
    Ok(DiscardOutcome::Discarded(Discarded {
        connections: connection_ids.len() as u64,
        conversation_id: conversation_id.map(Into::into),
    }))
}

/// Locks the contact history of the human on every line the pair has used, and returns these lines. A connect
/// takes this lock first as well, so that a concurrent connect of the human to the organization is either
/// visible below or waits.
async fn lock_contact_history(
    connection: &mut DbConnection,
    participants: &Participants,
) -> Result<Vec<String>, StoreError> {
    let rows = query!(
        "SELECT DISTINCT line_number FROM connections
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3",
        participants.organization_id.as_str(),
        participants.identity_id.uuid(),
        participants.remote_number.as_str(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let lines: Vec<String> = rows.into_iter().map(|row| row.line_number).collect();
    query!(
        "SELECT line_number FROM routed_organizations
         WHERE line_number = ANY ($1) AND remote_number = $2 AND organization_id = $3
         ORDER BY line_number
         FOR UPDATE",
        &lines,
        participants.remote_number.as_str(),
        participants.organization_id.as_str(),
    )
    .fetch_all(connection)
    .await?;
    Ok(lines)
}

struct ConnectionRow {
    id: Uuid,
    released_at: Option<DateTime<Utc>>,
}

async fn lock_connections(
    connection: &mut DbConnection,
    participants: &Participants,
) -> Result<Vec<ConnectionRow>, StoreError> {
    let rows = query_as!(
        ConnectionRow,
        "SELECT id, released_at FROM connections
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3
         ORDER BY id
         FOR UPDATE",
        participants.organization_id.as_str(),
        participants.identity_id.uuid(),
        participants.remote_number.as_str(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

async fn has_sends_in_flight(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    connection_ids: &[Uuid],
) -> Result<bool, StoreError> {
    let in_flight = query!(
        "SELECT id FROM messages
         WHERE organization_id = $1 AND assignment_id = ANY ($2) AND in_flight_until > clock_timestamp()
         LIMIT 1",
        organization_id.as_str(),
        connection_ids,
    )
    .fetch_optional(connection)
    .await?;
    Ok(in_flight.is_some())
}

async fn discard_conversation(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    query!(
        "INSERT INTO discarded_conversations (organization_id, conversation_id, discarded_at) VALUES ($1, $2, $3)",
        organization_id.as_str(),
        id,
        now,
    )
    .execute(&mut *connection)
    .await?;
    query!("DELETE FROM conversations WHERE organization_id = $1 AND id = $2", organization_id.as_str(), id)
        .execute(connection)
        .await?;
    Ok(())
}

async fn discard_connections(
    connection: &mut DbConnection,
    participants: &Participants,
    ids: &[Uuid],
    lines: &[String],
) -> Result<(), StoreError> {
    query!(
        "DELETE FROM connections WHERE organization_id = $1 AND id = ANY ($2)",
        participants.organization_id.as_str(),
        ids,
    )
    .execute(&mut *connection)
    .await?;
    query!("UPDATE router_commands SET connection_id = NULL WHERE connection_id = ANY ($1)", ids)
        .execute(&mut *connection)
        .await?;
    // Other identities of the organization may have connections with this human on the same lines.
    let remaining = query!(
        "SELECT DISTINCT line_number FROM connections WHERE organization_id = $1 AND remote_number = $2",
        participants.organization_id.as_str(),
        participants.remote_number.as_str(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let unused: Vec<String> =
        lines.iter().filter(|line| !remaining.iter().any(|row| row.line_number == **line)).cloned().collect();
    query!(
        "DELETE FROM routed_organizations
         WHERE line_number = ANY ($1) AND remote_number = $2 AND organization_id = $3",
        &unused,
        participants.remote_number.as_str(),
        participants.organization_id.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    // The human may be connected to another organization on the line.
    query!(
        "DELETE FROM awaited_files a
         WHERE a.remote_number = $2 AND a.line_number = ANY ($1)
           AND NOT EXISTS (SELECT FROM routes r WHERE r.remote_number = $2 AND r.line_number = a.line_number)",
        &unused,
        participants.remote_number.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
