//! What humans ask of the router line: connect, disconnect, list. Each text is acted on once.

mod connect;
mod contact_history;

pub(super) use contact_history::remove_if_unconnected;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::{Database, DbConnection, StoreError, connections};
use crate::domain::{ConnectionId, Handle, IdentityId, OrganizationId, PhoneNumber, RouterCommand};

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
pub async fn obey(db: &Database, order: Order) -> Result<Done, StoreError> {
    // The text is written down together with what was done about it, so that a redelivery finds both or neither.
    connections::after_sends(db, "transaction router_commands::obey", order.longest_send, move |connection| {
        let order = order.clone();
        Box::pin(async move {
            if let Some(duplicate) = write_down(connection, &order).await? {
                return Ok(duplicate);
            }
            let done = match &order.command {
                RouterCommand::Connect(handle) => connect::connect(connection, &order, handle).await?,
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
async fn write_down(connection: &mut DbConnection, order: &Order) -> Result<Option<Done>, StoreError> {
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

async fn find_agent(connection: &mut DbConnection, handle: &Handle) -> Result<Option<Agent>, StoreError> {
    let row =
        query!("SELECT organization_id, agent_identity_id FROM handles WHERE handle = $1", handle.key())
            .fetch_optional(&mut *connection)
            .await?;
    let agent = row.map(|row| Agent {
        organization_id: row.organization_id.into(),
        identity_id: row.agent_identity_id.into(),
    });
    if let Some(agent) = &agent {
        connection.mark_affected(&agent.organization_id);
    }
    Ok(agent)
}

/// The active connection of this human with this agent, and its line.
async fn active_route(
    connection: &mut DbConnection,
    remote_number: &PhoneNumber,
    agent: &Agent,
) -> Result<Option<(ConnectionId, PhoneNumber)>, StoreError> {
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

async fn disconnect(
    connection: &mut DbConnection,
    order: &Order,
    handle: &Handle,
) -> Result<Done, StoreError> {
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
    connection: &mut DbConnection,
    remote_number: &PhoneNumber,
) -> Result<Vec<String>, StoreError> {
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
