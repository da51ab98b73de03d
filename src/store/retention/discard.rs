//! Discarding a conversation, with all connections of its pair.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::domain::{ConversationId, IdentityId, OrganizationId, PhoneNumber};
use crate::store::{Database, Failure, Link};

/// An identity and a human.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The identity's organization.
    pub organization_id: OrganizationId,
    /// The identity.
    pub identity_id: IdentityId,
    /// The human.
    pub remote_number: PhoneNumber,
}

/// What was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discarded {
    /// How many connections.
    pub connections: u64,
    /// The conversation, whose messages are to be purged; `None` where the human never texted.
    pub conversation_id: Option<ConversationId>,
}

/// What became of a pair that was to be discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarding {
    /// It is gone.
    Done(Discarded),
    /// It is connected, or was until a short while ago: nothing was done.
    Connected,
    /// The line has a message whose answer is not written down yet: nothing was done.
    SendsUnderWay,
    /// There is nothing of it.
    Nothing,
}

/// Discards a pair, unless one of its connections is active or ended at `ended_before` or later.
pub async fn discard(
    db: &Database,
    pair: Pair,
    ended_before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Discarding, Failure> {
    // Whoever sees one of these rows must see all of them, and a text or a connect must meet all or none.
    db.transaction_for(&pair.organization_id.clone(), move |connection| {
        let pair = pair.clone();
        Box::pin(async move { discard_in(connection, &pair, ended_before, now).await })
    })
    .await
}

async fn discard_in(
    connection: &mut Link,
    pair: &Pair,
    ended_before: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Discarding, Failure> {
    let lines = lock_routed(connection, pair).await?;
    let connections = query!(
        "SELECT id, released_at FROM connections
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3
         ORDER BY id
         FOR UPDATE",
        pair.organization_id.as_str(),
        pair.identity_id.uuid(),
        pair.remote_number.as_str(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let is_over = |released_at: Option<DateTime<Utc>>| {
        released_at.is_some_and(|released_at| ended_before.is_none_or(|before| released_at < before))
    };
    if !connections.iter().all(|row| is_over(row.released_at)) {
        return Ok(Discarding::Connected);
    }
    // A connect that is not committed yet is not among the connections; the conversation is what both must change.
    let conversation = query!(
        "SELECT id, assignment_released FROM conversations
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3
         FOR UPDATE",
        pair.organization_id.as_str(),
        pair.identity_id.uuid(),
        pair.remote_number.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    if conversation.as_ref().is_some_and(|conversation| !conversation.assignment_released) {
        return Ok(Discarding::Connected);
    }
    let connection_ids: Vec<Uuid> = connections.into_iter().map(|row| row.id).collect();
    if connection_ids.is_empty() && conversation.is_none() {
        return Ok(Discarding::Nothing);
    }
    let under_way = query!(
        "SELECT id FROM messages
         WHERE organization_id = $1 AND assignment_id = ANY ($2) AND in_flight_until > clock_timestamp()
         LIMIT 1",
        pair.organization_id.as_str(),
        &connection_ids,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if under_way.is_some() {
        return Ok(Discarding::SendsUnderWay);
    }
    let conversation_id = conversation.map(|conversation| conversation.id);
    if let Some(id) = conversation_id {
        discard_conversation(connection, &pair.organization_id, id, now).await?;
    }
    discard_connections(connection, pair, &connection_ids, &lines).await?;
    Ok(Discarding::Done(Discarded {
        connections: connection_ids.len() as u64,
        conversation_id: conversation_id.map(Into::into),
    }))
}

/// Takes what connect takes first as well, so that a connect of this human to the same organization on one of the lines
/// is either seen below or comes after. Gives the lines that the pair ever used.
async fn lock_routed(connection: &mut Link, pair: &Pair) -> Result<Vec<String>, Failure> {
    let rows = query!(
        "SELECT DISTINCT line_number FROM connections
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3",
        pair.organization_id.as_str(),
        pair.identity_id.uuid(),
        pair.remote_number.as_str(),
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
        pair.remote_number.as_str(),
        pair.organization_id.as_str(),
    )
    .fetch_all(connection)
    .await?;
    Ok(lines)
}

async fn discard_conversation(
    connection: &mut Link,
    organization_id: &OrganizationId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
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
    connection: &mut Link,
    pair: &Pair,
    ids: &[Uuid],
    lines: &[String],
) -> Result<(), Failure> {
    query!(
        "DELETE FROM connections WHERE organization_id = $1 AND id = ANY ($2)",
        pair.organization_id.as_str(),
        ids,
    )
    .execute(&mut *connection)
    .await?;
    query!("UPDATE router_commands SET connection_id = NULL WHERE connection_id = ANY ($1)", ids)
        .execute(&mut *connection)
        .await?;
    // Other identities of the organization may have met this human on the same lines.
    let still = query!(
        "SELECT DISTINCT line_number FROM connections WHERE organization_id = $1 AND remote_number = $2",
        pair.organization_id.as_str(),
        pair.remote_number.as_str(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let left: Vec<String> =
        lines.iter().filter(|line| !still.iter().any(|row| row.line_number == **line)).cloned().collect();
    query!(
        "DELETE FROM routed_organizations
         WHERE line_number = ANY ($1) AND remote_number = $2 AND organization_id = $3",
        &left,
        pair.remote_number.as_str(),
        pair.organization_id.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
