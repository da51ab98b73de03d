//! Connections and routes of a merged human.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Pair;
use crate::store::{DbConnection, StoreError};

#[derive(Debug, Clone)]
pub(super) struct ConnectionRow {
    pub(super) id: Uuid,
    pub(super) line_number: String,
    remote_number: String,
    released_at: Option<DateTime<Utc>>,
}

impl ConnectionRow {
    const fn is_active(&self) -> bool {
        self.released_at.is_none()
    }
}

/// Locks the connections of both numbers. The newest is the first.
pub(super) async fn lock(link: &mut DbConnection, pair: &Pair<'_>) -> Result<Vec<ConnectionRow>, StoreError> {
    let rows = query_as!(
        ConnectionRow,
        "SELECT id, line_number, remote_number, released_at FROM connections
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = ANY ($3)
         ORDER BY id
         FOR UPDATE",
        pair.organization_id.as_str(),
        pair.identity_id,
        &pair.numbers(),
    )
    .fetch_all(link)
    .await?;
    Ok(rows.into_iter().rev().collect())
}

/// The active connections that cannot stay. Of two the newest stays, which the human asked for last. A connection under the
/// former number cannot keep a line on which the human is connected to another identity under the canonical one, since a
/// text there would have two meanings.
pub(super) async fn superfluous(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    connections: &[ConnectionRow],
) -> Result<Vec<ConnectionRow>, StoreError> {
    let mut superfluous = Vec::new();
    let mut has_kept = false;
    for connection in connections.iter().filter(|connection| connection.is_active()) {
        let is_former = connection.remote_number == pair.former.as_str();
        if has_kept || (is_former && is_taken(link, pair, &connection.line_number).await?) {
            superfluous.push(connection.clone());
        } else {
            has_kept = true;
        }
    }
    Ok(superfluous)
}

/// Whether another identity has the route of the canonical number on this line.
async fn is_taken(link: &mut DbConnection, pair: &Pair<'_>, line_number: &str) -> Result<bool, StoreError> {
    let route = query!(
        "SELECT agent_identity_id FROM routes WHERE line_number = $1 AND remote_number = $2",
        line_number,
        pair.canonical.as_str(),
    )
    .fetch_optional(link)
    .await?;
    Ok(route.is_some_and(|route| route.agent_identity_id != pair.identity_id))
}

/// After its release no message goes out on a connection.
pub(super) async fn have_sends_in_flight(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    connections: &[ConnectionRow],
) -> Result<bool, StoreError> {
    let in_flight = query!(
        "SELECT id FROM messages
         WHERE organization_id = $1 AND assignment_id = ANY ($2) AND in_flight_until > clock_timestamp()
         LIMIT 1",
        pair.organization_id.as_str(),
        &ids(connections),
    )
    .fetch_optional(link)
    .await?;
    Ok(in_flight.is_some())
}

/// Ends connections; the counts of their lines are corrected at the end of the repair.
pub(super) async fn release(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    connections: &[ConnectionRow],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    query!(
        "UPDATE connections SET updated_at = greatest(updated_at, $3), released_at = greatest(created_at, $3)
         WHERE organization_id = $1 AND id = ANY ($2)",
        pair.organization_id.as_str(),
        &ids(connections),
        now,
    )
    .execute(&mut *link)
    .await?;
    for connection in connections {
        delete_route(link, connection).await?;
    }
    Ok(())
}

/// Gives the connections of the former number the canonical one, and the active one its route.
pub(super) async fn rename(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    connections: &[ConnectionRow],
    released: &[ConnectionRow],
) -> Result<(), StoreError> {
    let former: Vec<_> =
        connections.iter().filter(|row| row.remote_number == pair.former.as_str()).cloned().collect();
    query!(
        "UPDATE connections SET remote_number = $3 WHERE organization_id = $1 AND id = ANY ($2)",
        pair.organization_id.as_str(),
        &ids(&former),
        pair.canonical.as_str(),
    )
    .execute(&mut *link)
    .await?;
    let is_kept =
        |row: &&ConnectionRow| row.is_active() && !released.iter().any(|released| released.id == row.id);
    for connection in former.iter().filter(is_kept) {
        delete_route(link, connection).await?;
        // The number decides on which node the route is, so that it cannot be updated.
        query!(
            "INSERT INTO routes (line_number, remote_number, organization_id, agent_identity_id, connection_id)
             VALUES ($1, $2, $3, $4, $5)",
            connection.line_number,
            pair.canonical.as_str(),
            pair.organization_id.as_str(),
            pair.identity_id,
            connection.id,
        )
        .execute(&mut *link)
        .await?;
    }
    Ok(())
}

async fn delete_route(link: &mut DbConnection, connection: &ConnectionRow) -> Result<(), StoreError> {
    query!(
        "DELETE FROM routes WHERE line_number = $1 AND remote_number = $2 AND connection_id = $3",
        connection.line_number,
        connection.remote_number,
        connection.id,
    )
    .execute(link)
    .await?;
    Ok(())
}

fn ids(connections: &[ConnectionRow]) -> Vec<Uuid> {
    connections.iter().map(|connection| connection.id).collect()
}
