//! `connect`: the least loaded line that this human is on with nobody, and a connection there.

use sqlx::query;

use super::contact_history::remove_if_unconnected;
use super::{Agent, Done, Order, active_route, find_agent};
use crate::domain::{Handle, PhoneNumber, verdict};
use crate::store::contact_rules::rule_on_number;
use crate::store::identities::filter_mode;
use crate::store::{DbConnection, StoreError};

/// How often connect looks again when another text of the same human takes the line it chose, or connects the same two.
const LINE_ATTEMPTS: u32 = 16;

pub(super) async fn connect(
    connection: &mut DbConnection,
    order: &Order,
    handle: &Handle,
) -> Result<Done, StoreError> {
    let Some(agent) = find_agent(connection, handle).await? else { return Ok(Done::Refused) };
    let identity = query!(
        r#"SELECT i.agent_handle, i.imessage_enabled, i.filter_mode,
                  r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?"
           FROM identities i
           LEFT JOIN contact_rules r ON r.organization_id = $1 AND r.agent_identity_id = $2 AND r.match_target = $3
           WHERE i.organization_id = $1 AND i.id = $2"#,
        agent.organization_id.as_str(),
        agent.identity_id.uuid(),
        order.remote_number.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    // Where tables are distributed, a handle can be seen a moment before its identity.
    let Some(identity) = identity else { return Ok(Done::Refused) };
    let rule = rule_on_number(identity.rule_id, identity.rule_action, identity.rule_status)?;
    let mode = filter_mode(identity.filter_mode, agent.identity_id.uuid())?;
    if !identity.imessage_enabled || verdict(mode, rule).is_blocked() {
        return Ok(Done::Refused);
    }
    let handle = identity.agent_handle;
    for _ in 0..LINE_ATTEMPTS {
        let connected = active_route(connection, &order.remote_number, &agent).await?;
        if let Some((connection_id, line_number)) = connected {
            return Ok(Done::Connected { connection_id, line_number, handle });
        }
        let Some(line_number) = take_line(connection, order, &agent).await? else {
            // A connect of the same two may have taken the last line since we looked.
            let route = active_route(connection, &order.remote_number, &agent).await?;
            return Ok(route.map_or(Done::NoFreeLine, |(connection_id, line_number)| Done::Connected {
                connection_id,
                line_number,
                handle,
            }));
        };
        if begin_connection(connection, order, &agent, &line_number).await? {
            // Last, since every connect and release on this line queues for this row.
            query!(
                "UPDATE lines SET active_connections = active_connections + 1 WHERE number = $1",
                line_number.as_str()
            )
            .execute(connection)
            .await?;
            return Ok(Done::Connected { connection_id: order.new_connection_id, line_number, handle });
        }
        // Another connect of the same two was faster: give the line back and look again, since that connection may
        // have ended by now.
        give_back(connection, order, &agent, &line_number).await?;
    }
    Err(StoreError::Unavailable("the same two were connected and released again and again"))
}

/// Routes this human's texts on the least loaded line that does not connect it to anyone yet; `None` when there is
/// no such line.
async fn take_line(
    connection: &mut DbConnection,
    order: &Order,
    agent: &Agent,
) -> Result<Option<PhoneNumber>, StoreError> {
    for _ in 0..LINE_ATTEMPTS {
        let free = query!(
            "SELECT l.number FROM lines l
             WHERE l.role = 2
               AND NOT EXISTS (SELECT 1 FROM routes r WHERE r.line_number = l.number AND r.remote_number = $1)
             ORDER BY l.active_connections, l.number
             LIMIT 1",
            order.remote_number.as_str(),
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(free) = free else { return Ok(None) };
        let taken = query!(
            "INSERT INTO routes (line_number, remote_number, organization_id, agent_identity_id, connection_id)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (line_number, remote_number) DO NOTHING",
            free.number,
            order.remote_number.as_str(),
            agent.organization_id.as_str(),
            agent.identity_id.uuid(),
            order.new_connection_id.uuid(),
        )
        .execute(&mut *connection)
        .await?
        .rows_affected()
            == 1;
        if taken {
            query!(
                // An update that changes nothing is a lock: whoever discards the last connection on this pair, and this
                // row with it, waits for this connect, or this connect for that.
                "INSERT INTO routed_organizations (line_number, remote_number, organization_id) VALUES ($1, $2, $3)
                 ON CONFLICT (line_number, remote_number, organization_id)
                 DO UPDATE SET organization_id = excluded.organization_id",
                free.number,
                order.remote_number.as_str(),
                agent.organization_id.as_str(),
            )
            .execute(connection)
            .await?;
            return Ok(Some(free.number.into()));
        }
    }
    Err(StoreError::Unavailable("every line was taken by a connect of the same human"))
}

/// Makes the connection, and turns the conversation of the two active where there is one from before; false when
/// the two are connected already.
async fn begin_connection(
    connection: &mut DbConnection,
    order: &Order,
    agent: &Agent,
    line_number: &PhoneNumber,
) -> Result<bool, StoreError> {
    let made = query!(
        "INSERT INTO connections (organization_id, id, agent_identity_id, line_number, remote_number, created_at,
                                  updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (organization_id, agent_identity_id, remote_number) WHERE released_at IS NULL DO NOTHING",
        agent.organization_id.as_str(),
        order.new_connection_id.uuid(),
        agent.identity_id.uuid(),
        line_number.as_str(),
        order.remote_number.as_str(),
        order.now,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    if made {
        query!(
            "UPDATE conversations
             SET assignment_id = $4, assignment_released = false, assignment_messaged = false,
                 updated_at = greatest(updated_at, $5)
             WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3",
            agent.organization_id.as_str(),
            agent.identity_id.uuid(),
            order.remote_number.as_str(),
            order.new_connection_id.uuid(),
            order.now,
        )
        .execute(connection)
        .await?;
    }
    Ok(made)
}

/// Undoes [`take_line`]. What it remembered goes as well, unless there was a connection before: nothing would ever
/// remove it, not even an erasure of this human, which looks for connections.
async fn give_back(
    connection: &mut DbConnection,
    order: &Order,
    agent: &Agent,
    line_number: &PhoneNumber,
) -> Result<(), StoreError> {
    query!(
        "DELETE FROM routes WHERE line_number = $1 AND remote_number = $2 AND connection_id = $3",
        line_number.as_str(),
        order.remote_number.as_str(),
        order.new_connection_id.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    remove_if_unconnected(connection, &agent.organization_id, line_number, &order.remote_number).await?;
    Ok(())
}
