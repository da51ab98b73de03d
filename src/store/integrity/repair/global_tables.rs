//! The global tables that find connections, from the connections.

use std::time::Duration;

use sqlx::query;
use tokio::time::sleep;
use uuid::Uuid;

use crate::domain::OrganizationId;
use crate::store::router_commands::forget_without_connection;
use crate::store::{Failure, Link};

/// Most rows of one transaction.
const BATCH: i64 = 500;
/// How long a decided transaction may take until each node knows: messages between nodes of one site, many times over.
const UNTIL_ALL_NODES_ARE_TOLD: Duration = Duration::from_millis(250);

/// Makes the route of a connection what the connection says: its own while it is active, else none. Where another
/// connection has this human on this line, it stays: which of the two a text means cannot be known.
pub(super) async fn route(
    link: &mut Link,
    organization_id: &OrganizationId,
    connection_id: Uuid,
) -> Result<u64, Failure> {
    let active = query!(
        "SELECT agent_identity_id, line_number, remote_number FROM connections
         WHERE organization_id = $1 AND id = $2 AND released_at IS NULL
         FOR UPDATE",
        organization_id.as_str(),
        connection_id,
    )
    .fetch_optional(&mut *link)
    .await?;
    // A connection and its route are committed together, and ids are never used again: a route that has been seen
    // without its connection will never have one.
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
        count(link, line_number).await?;
    }
    Ok(u64::from(!lines.is_empty()))
}

/// A line's count, and the right one.
struct Count {
    is: i32,
    routes: i32,
}

/// Locks a line and counts its routes. Whoever has added or removed one that is not committed yet waits for the line's
/// row, and counts it then.
async fn counted(link: &mut Link, line_number: &str) -> Result<Option<Count>, Failure> {
    let row = query!("SELECT active_connections FROM lines WHERE number = $1 FOR UPDATE", line_number)
        .fetch_optional(&mut *link)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if link.is_distributed() {
        // Whoever had the line last has given it back, and may not have been told yet on the node that has the route.
        sleep(UNTIL_ALL_NODES_ARE_TOLD).await;
    }
    let routes =
        query!(r#"SELECT count(*)::integer AS "routes!" FROM routes WHERE line_number = $1"#, line_number)
            .fetch_one(link)
            .await?
            .routes;
    Ok(Some(Count { is: row.active_connections, routes }))
}

/// Whether a line's count is wrong, whatever goes on meanwhile.
pub(super) async fn is_miscounted(link: &mut Link, line_number: &str) -> Result<bool, Failure> {
    Ok(counted(link, line_number).await?.is_some_and(|count| count.is != count.routes))
}

/// Makes a line's count right.
pub(super) async fn count(link: &mut Link, line_number: &str) -> Result<u64, Failure> {
    let Some(count) = counted(&mut *link, line_number).await? else { return Ok(0) };
    if count.is == count.routes {
        return Ok(0);
    }
    let done =
        query!("UPDATE lines SET active_connections = $2 WHERE number = $1", line_number, count.routes)
            .execute(link)
            .await?;
    Ok(done.rows_affected())
}

/// Remembers what a connection says: that this human reached its organization over its line.
pub(super) async fn remember(
    link: &mut Link,
    organization_id: &OrganizationId,
    connection_id: Uuid,
) -> Result<u64, Failure> {
    // Locked, so that whoever discards it comes before this, or removes the row again.
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

/// Forgets some of what is remembered without a connection.
pub(super) async fn forget(link: &mut Link) -> Result<u64, Failure> {
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
        BATCH,
    )
    .fetch_all(&mut *link)
    .await?;
    let mut forgotten = 0;
    for row in rows {
        let (line_number, remote_number) = (row.line_number.into(), row.remote_number.into());
        let is_gone =
            forget_without_connection(link, &row.organization_id.into(), &line_number, &remote_number)
                .await?;
        forgotten += u64::from(is_gone);
    }
    Ok(forgotten)
}
