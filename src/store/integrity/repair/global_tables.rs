//! Repair of the global tables that are derived from connections.

use std::time::Duration;

use sqlx::query;
use tokio::time::sleep;
use uuid::Uuid;

use crate::domain::OrganizationId;
use crate::store::router_commands::remove_if_unconnected;
use crate::store::{DbConnection, StoreError};

/// Rows per transaction.
const BATCH_SIZE: i64 = 500;
/// How long a committed transaction may take to become visible on every node of a distributed database: many
/// times the round trip between nodes of one site.
const COMMIT_VISIBILITY_DELAY: Duration = Duration::from_millis(250);

/// Rebuilds the route of a connection: one route if it is active, none otherwise. If another connection
/// already has the route of this human on this line, that one stays, because it cannot be known which of the
/// two a message is meant for.
pub(super) async fn rebuild_route(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    connection_id: Uuid,
) -> Result<u64, StoreError> {
    let active = query!(
        "SELECT agent_identity_id, line_number, remote_number FROM connections
         WHERE organization_id = $1 AND id = $2 AND released_at IS NULL
         FOR UPDATE",
        organization_id.as_str(),
        connection_id,
    )
    .fetch_optional(&mut *link)
    .await?;
    // A connection and its route are committed together and ids are never reused, so a route without a
    // connection will never get one.
    let removed = query!(
        "DELETE FROM routes
         WHERE organization_id = $1 AND connection_id = $2
           AND (agent_identity_id, line_number, remote_number) IS DISTINCT FROM ($3, $4, $5)
         RETURNING line_number",
        organization_id.as_str(),
        connection_id,
        active.as_ref().map(|active| active.agent_identity_id),
        active.as_ref().map(|active| active.line_number.as_str()),
        active.as_ref().map(|active| active.remote_number.as_str()),
    )
    .fetch_all(&mut *link)
    .await?;
    let mut lines: Vec<String> = removed.into_iter().map(|row| row.line_number).collect();
    if let Some(active) = active {
        let added = query!(
            "INSERT INTO routes (line_number, remote_number, organization_id, agent_identity_id, connection_id)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (line_number, remote_number) DO NOTHING",
            active.line_number,
            active.remote_number,
            organization_id.as_str(),
            active.agent_identity_id,
            connection_id,
        )
        .execute(&mut *link)
        .await?;
        if added.rows_affected() == 1 {
            lines.push(active.line_number);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    for line_number in &lines {
        recount_line(link, line_number).await?;
    }
    Ok(u64::from(!lines.is_empty()))
}

struct LineCount {
    stored: i32,
    actual: i32,
}

/// Locks a line and counts its routes. A transaction that has added or removed a route without committing yet
/// waits for the lock of the line and applies its change to the count afterwards.
async fn lock_and_count(link: &mut DbConnection, line_number: &str) -> Result<Option<LineCount>, StoreError> {
    let row = query!("SELECT active_connections FROM lines WHERE number = $1 FOR UPDATE", line_number)
        .fetch_optional(&mut *link)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if link.is_distributed() {
        // The commit of the previous lock holder may not be visible yet on the worker that stores the route.
        sleep(COMMIT_VISIBILITY_DELAY).await;
    }
    let routes =
        query!(r#"SELECT count(*)::integer AS "routes!" FROM routes WHERE line_number = $1"#, line_number)
            .fetch_one(link)
            .await?
            .routes;
    Ok(Some(LineCount { stored: row.active_connections, actual: routes }))
}

/// Whether the count of a line is wrong, unaffected by concurrent changes.
pub(super) async fn is_miscounted(link: &mut DbConnection, line_number: &str) -> Result<bool, StoreError> {
    Ok(lock_and_count(link, line_number).await?.is_some_and(|count| count.stored != count.actual))
}

/// Corrects the count of a line.
pub(super) async fn recount_line(link: &mut DbConnection, line_number: &str) -> Result<u64, StoreError> {
    let Some(count) = lock_and_count(&mut *link, line_number).await? else { return Ok(0) };
    if count.stored == count.actual {
        return Ok(0);
    }
    let done =
        query!("UPDATE lines SET active_connections = $2 WHERE number = $1", line_number, count.actual)
            .execute(link)
            .await?;
    Ok(done.rows_affected())
}

/// Adds the contact history of a connection: that this human was connected to its organization on its line.
pub(super) async fn add_contact_history(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    connection_id: Uuid,
) -> Result<u64, StoreError> {
    // The lock orders this repair with a discard of the connection, which removes the row again.
    let connection = query!(
        "SELECT line_number, remote_number FROM connections WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id.as_str(),
        connection_id,
    )
    .fetch_optional(&mut *link)
    .await?;
    let Some(connection) = connection else { return Ok(0) };
    let done = query!(
        "INSERT INTO routed_organizations (line_number, remote_number, organization_id) VALUES ($1, $2, $3)
         ON CONFLICT (line_number, remote_number, organization_id) DO NOTHING",
        connection.line_number,
        connection.remote_number,
        organization_id.as_str(),
    )
    .execute(link)
    .await?;
    Ok(done.rows_affected())
}

/// Removes a batch of contact history without a connection.
pub(super) async fn remove_orphaned_contact_history(link: &mut DbConnection) -> Result<u64, StoreError> {
    let rows = query!(
        r#"WITH o AS MATERIALIZED (SELECT organization_id, line_number, remote_number FROM routed_organizations),
         k AS MATERIALIZED (SELECT organization_id, line_number, remote_number FROM connections)
         SELECT o.line_number AS "line_number!", o.remote_number AS "remote_number!",
                o.organization_id AS "organization_id!"
         FROM o
         WHERE NOT EXISTS (SELECT FROM k
                           WHERE k.organization_id = o.organization_id AND k.line_number = o.line_number
                             AND k.remote_number = o.remote_number)
         ORDER BY o.line_number, o.remote_number, o.organization_id
         LIMIT $1"#,
        BATCH_SIZE,
    )
    .fetch_all(&mut *link)
    .await?;
    let mut removed = 0;
    for row in rows {
        let (line_number, remote_number) = (row.line_number.into(), row.remote_number.into());
        let is_removed =
            remove_if_unconnected(link, &row.organization_id.into(), &line_number, &remote_number).await?;
        removed += u64::from(is_removed);
    }
    Ok(removed)
}
