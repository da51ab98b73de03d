//! What humans ask of the router line: connect, disconnect, list. Each text is acted on once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::contact_rules::rule_on_number;
use super::identities::filter_mode;
use super::{Database, Failure, Link, connections};
use crate::domain::{ConnectionId, Handle, IdentityId, OrganizationId, PhoneNumber, RouterCommand, verdict};

/// How often connect looks again when another text of the same human takes the line it chose, or connects the same two.
const LINE_ATTEMPTS: u32 = 16;

/// A command that a human texted.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is asked.
    pub command: RouterCommand,
    /// The router line.
    pub line_number: PhoneNumber,
    /// The human.
    pub remote_number: PhoneNumber,
    /// The carrier's id of the text.
    pub provider_message_id: String,
    /// Id of the connection, should one be made.
    pub new_connection_id: ConnectionId,
    /// How long a send takes at most: a disconnect waits for those under way.
    pub longest_send: Duration,
    /// When it arrived.
    pub now: DateTime<Utc>,
}

/// What was done.
#[derive(Debug, Clone)]
pub enum Done {
    /// The human is connected: since now, or since before.
    Connected {
        /// The connection.
        connection_id: ConnectionId,
        /// The line on which its thread is.
        line_number: PhoneNumber,
        /// The agent's handle, as its owner spells it.
        handle: String,
    },
    /// The connection has ended.
    Disconnected {
        /// The connection.
        connection_id: ConnectionId,
        /// The agent's handle, as its owner spells it.
        handle: String,
    },
    /// Unknown, disabled, blocked, or not connected: nothing was done, and which it was is not told.
    Refused,
    /// Every pool line already connects this human to someone.
    NoFreeLine,
    /// The handles this human is connected to, in alphabetical order.
    Listed(Vec<String>),
    /// Nothing was asked that we understand.
    Help,
    /// The text was acted on before.
    Duplicate {
        /// The connection that the first delivery made, kept or ended.
        connection_id: Option<ConnectionId>,
    },
}

impl Done {
    const fn connection_id(&self) -> Option<ConnectionId> {
        match self {
            Self::Connected { connection_id, .. } | Self::Disconnected { connection_id, .. } => {
                Some(*connection_id)
            }
            _ => None,
        }
    }
}

/// Acts on a command, once.
pub async fn obey(db: &Database, order: Order) -> Result<Done, Failure> {
    // The text is written down together with what was done about it, so that a redelivery finds both or neither.
    connections::after_sends(db, order.longest_send, move |connection| {
        let order = order.clone();
        Box::pin(async move {
            if let Some(duplicate) = write_down(connection, &order).await? {
                return Ok(duplicate);
            }
            let done = match &order.command {
                RouterCommand::Connect(handle) => connect(connection, &order, handle).await?,
                RouterCommand::Disconnect(handle) => disconnect(connection, &order, handle).await?,
                RouterCommand::List => {
                    Done::Listed(connected_handles(connection, &order.remote_number).await?)
                }
                RouterCommand::Help => Done::Help,
            };
            if let Some(connection_id) = done.connection_id() {
                query!(
                    "UPDATE router_commands SET connection_id = $3
                     WHERE line_number = $1 AND provider_message_id = $2",
                    order.line_number.as_str(),
                    order.provider_message_id,
                    connection_id.uuid(),
                )
                .execute(connection)
                .await?;
            }
            Ok(done)
        })
    })
    .await
}

/// Remembers the text; returns the answer to a redelivery. A redelivery that races waits here for the first.
async fn write_down(connection: &mut Link, order: &Order) -> Result<Option<Done>, Failure> {
    let fresh = query!(
        "INSERT INTO router_commands (line_number, provider_message_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (line_number, provider_message_id) DO NOTHING",
        order.line_number.as_str(),
        order.provider_message_id,
        order.now,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    if fresh {
        return Ok(None);
    }
    let first = query!(
        "SELECT connection_id FROM router_commands WHERE line_number = $1 AND provider_message_id = $2",
        order.line_number.as_str(),
        order.provider_message_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(Some(Done::Duplicate { connection_id: first.connection_id.map(Into::into) }))
}

/// Whom a handle means.
struct Agent {
    organization_id: OrganizationId,
    identity_id: IdentityId,
}

async fn find_agent(connection: &mut Link, handle: &Handle) -> Result<Option<Agent>, Failure> {
    let row =
        query!("SELECT organization_id, agent_identity_id FROM handles WHERE handle = $1", handle.key())
            .fetch_optional(&mut *connection)
            .await?;
    let agent = row.map(|row| Agent {
        organization_id: row.organization_id.into(),
        identity_id: row.agent_identity_id.into(),
    });
    if let Some(agent) = &agent {
        connection.concerns(&agent.organization_id);
    }
    Ok(agent)
}

/// The active connection of this human with this agent, and its line.
async fn active_route(
    connection: &mut Link,
    remote_number: &PhoneNumber,
    agent: &Agent,
) -> Result<Option<(ConnectionId, PhoneNumber)>, Failure> {
    let row = query!(
        "SELECT connection_id, line_number FROM routes
         WHERE remote_number = $1 AND organization_id = $2 AND agent_identity_id = $3",
        remote_number.as_str(),
        agent.organization_id.as_str(),
        agent.identity_id.uuid(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.connection_id.into(), row.line_number.into())))
}

async fn connect(connection: &mut Link, order: &Order, handle: &Handle) -> Result<Done, Failure> {
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
        query!(
            "DELETE FROM routes WHERE line_number = $1 AND remote_number = $2 AND connection_id = $3",
            line_number.as_str(),
            order.remote_number.as_str(),
            order.new_connection_id.uuid(),
        )
        .execute(&mut *connection)
        .await?;
    }
    Err(Failure::Unavailable("the same two were connected and released again and again"))
}

/// Routes this human's texts on the least loaded line that does not connect it to anyone yet; `None` when there is
/// no such line.
async fn take_line(
    connection: &mut Link,
    order: &Order,
    agent: &Agent,
) -> Result<Option<PhoneNumber>, Failure> {
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
    Err(Failure::Unavailable("every line was taken by a connect of the same human"))
}

/// Makes the connection, and turns the conversation of the two active where there is one from before; false when
/// the two are connected already.
async fn begin_connection(
    connection: &mut Link,
    order: &Order,
    agent: &Agent,
    line_number: &PhoneNumber,
) -> Result<bool, Failure> {
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

async fn disconnect(connection: &mut Link, order: &Order, handle: &Handle) -> Result<Done, Failure> {
    let Some(agent) = find_agent(connection, handle).await? else { return Ok(Done::Refused) };
    let Some((connection_id, _)) = active_route(connection, &order.remote_number, &agent).await? else {
        return Ok(Done::Refused);
    };
    let released =
        connections::release_in(connection, &agent.organization_id, connection_id, order.now).await?;
    if released.is_none() {
        return Ok(Done::Refused);
    }
    let identity = query!(
        "SELECT agent_handle FROM identities WHERE organization_id = $1 AND id = $2",
        agent.organization_id.as_str(),
        agent.identity_id.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(Done::Disconnected { connection_id, handle: identity.agent_handle })
}

/// As many at most as there are pool lines, since a human has one connection on each.
async fn connected_handles(
    connection: &mut Link,
    remote_number: &PhoneNumber,
) -> Result<Vec<String>, Failure> {
    let routes = query!(
        r#"SELECT organization_id, array_agg(agent_identity_id) AS "identity_ids!" FROM routes
           WHERE remote_number = $1
           GROUP BY organization_id"#,
        remote_number.as_str(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut handles = Vec::new();
    for route in routes {
        let identity_ids: Vec<Uuid> = route.identity_ids;
        let rows = query!(
            "SELECT agent_handle FROM identities WHERE organization_id = $1 AND id = ANY ($2)",
            route.organization_id,
            &identity_ids,
        )
        .fetch_all(&mut *connection)
        .await?;
        handles.extend(rows.into_iter().map(|row| row.agent_handle));
    }
    handles.sort_unstable();
    Ok(handles)
}
