//! Commands that humans send to the router line: connect, disconnect, list. Each is executed once, however
//! often it is delivered.

mod connect;
mod contact_history;
mod reply;

pub(super) use contact_history::remove_if_unconnected;
pub use reply::{DueReply, NewReply, delete_old_replies, has_later_reply, settle_reply, take_due_reply};

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::{Database, DbConnection, StoreError, connections};
use crate::domain::{ConnectionId, Handle, IdentityId, OrganizationId, PhoneNumber, RouterCommand};

/// The foreign key of a connection to its identity.
const IDENTITY_CONSTRAINT: &str = "connections_identity";

/// A command to execute.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// The command.
    pub command: RouterCommand,
    /// The router line that received it.
    pub line_number: PhoneNumber,
    /// The human who sent it.
    pub remote_number: PhoneNumber,
    /// The carrier's id of the message.
    pub provider_message_id: String,
    /// Id for the connection if one is created.
    pub new_connection_id: ConnectionId,
    /// Maximum duration of a send: a disconnect waits for those in flight.
    pub longest_send: Duration,
    /// How the reply reaches the human.
    pub reply: ReplyBy,
    /// Time of arrival.
    pub now: DateTime<Utc>,
}

/// How the reply to a command reaches the human.
#[derive(Debug, Clone)]
pub enum ReplyBy {
    /// The caller sends it.
    Caller,
    /// This service sends it from the line. It is stored with the command.
    Line {
        /// The carrier's id of the chat, if it has one.
        chat: Option<String>,
        /// The reply to an outcome; `None` for none.
        of: fn(&CommandOutcome) -> Option<NewReply>,
    },
}

/// Result of a command.
#[derive(Debug, Clone)]
pub enum CommandOutcome {
    /// The human is connected, by this command or already before.
    Connected {
        /// The connection.
        connection_id: ConnectionId,
        /// The pool line of the connection.
        line_number: PhoneNumber,
        /// The identity's handle, in the spelling of its owner.
        handle: String,
    },
    /// The connection was released.
    Disconnected {
        /// The connection.
        connection_id: ConnectionId,
        /// The identity's handle, in the spelling of its owner.
        handle: String,
    },
    /// Nothing was done: the identity is unknown, disabled or not connected, or the human is blocked. Not
    /// distinguished, so that the reply reveals nothing about other identities.
    Refused,
    /// The human already has a connection on every pool line.
    NoFreeLine,
    /// The handles that the human is connected to, in alphabetical request.
    Listed(Vec<String>),
    /// The message is not a known command.
    Help,
    /// The command was executed before.
    Duplicate {
        /// The connection that the first delivery created, found or released.
        connection_id: Option<ConnectionId>,
    },
}

impl CommandOutcome {
    const fn connection_id(&self) -> Option<ConnectionId> {
        match self {
            Self::Connected { connection_id, .. } | Self::Disconnected { connection_id, .. } => {
                Some(*connection_id)
            }
            _ => None,
        }
    }
}

/// Executes a command once; a redelivery is a [`CommandOutcome::Duplicate`].
pub async fn execute(db: &Database, request: CommandRequest) -> Result<CommandOutcome, StoreError> {
    let executing = execute_once(db, request.clone()).await;
    match executing {
        // The identity was deleted since its handle was found. Now the handle means nobody.
        Err(failure) if failure.violates(IDENTITY_CONSTRAINT) => execute_once(db, request).await,
        executed => executed,
    }
}

async fn execute_once(db: &Database, request: CommandRequest) -> Result<CommandOutcome, StoreError> {
    let longest_send = request.longest_send;
    // One transaction for the record of the command and its effect, so that a redelivery finds both or
    // neither.
    connections::after_sends(db, "transaction router_commands::obey", longest_send, move |connection| {
        let request = request.clone();
        Box::pin(async move { execute_in(connection, &request).await })
    })
    .await
}

async fn execute_in(
    connection: &mut DbConnection,
    request: &CommandRequest,
) -> Result<CommandOutcome, StoreError> {
    if !record(connection, request).await? {
        return duplicate(connection, request).await;
    }
    let outcome = match &request.command {
        RouterCommand::Connect(handles) => connect::connect(connection, request, handles).await?,
        RouterCommand::Disconnect(handles) => disconnect(connection, request, handles).await?,
        RouterCommand::List => {
            CommandOutcome::Listed(connected_handles(connection, &request.remote_number).await?)
        }
        RouterCommand::Help => CommandOutcome::Help,
    };
    if let Some(connection_id) = outcome.connection_id() {
        record_connection(connection, request, connection_id).await?;
    }
    if let ReplyBy::Line { chat, of } = &request.reply
        && let Some(reply) = of(&outcome)
    {
        reply::store_in(connection, request, chat.as_deref(), &reply).await?;
    }
    Ok(outcome)
}

/// Records the command. Returns false if it was recorded before. A concurrent redelivery waits here for the
/// first delivery.
async fn record(connection: &mut DbConnection, request: &CommandRequest) -> Result<bool, StoreError> {
    let done = query!(
        "INSERT INTO router_commands (line_number, provider_message_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (line_number, provider_message_id) DO NOTHING",
        request.line_number.as_str(),
        request.provider_message_id,
        request.now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The result of a redelivery.
async fn duplicate(
    connection: &mut DbConnection,
    request: &CommandRequest,
) -> Result<CommandOutcome, StoreError> {
    let first = query!(
        "SELECT connection_id FROM router_commands WHERE line_number = $1 AND provider_message_id = $2",
        request.line_number.as_str(),
        request.provider_message_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(CommandOutcome::Duplicate { connection_id: first.connection_id.map(Into::into) })
}

/// Adds the affected connection to the record of the command, for the result of redeliveries.
async fn record_connection(
    connection: &mut DbConnection,
    request: &CommandRequest,
    connection_id: ConnectionId,
) -> Result<(), StoreError> {
    query!(
        "UPDATE router_commands SET connection_id = $3
         WHERE line_number = $1 AND provider_message_id = $2",
        request.line_number.as_str(),
        request.provider_message_id,
        connection_id.uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The identity that a human means.
struct Agent {
    organization_id: OrganizationId,
    identity_id: IdentityId,
}

/// The identity of the first of these handles that exists.
async fn find_agent(connection: &mut DbConnection, handles: &[Handle]) -> Result<Option<Agent>, StoreError> {
    for handle in handles {
        let row =
            query!("SELECT organization_id, agent_identity_id FROM handles WHERE handle = $1", handle.key())
                .fetch_optional(&mut *connection)
                .await?;
        if let Some(row) = row {
            let organization_id = row.organization_id.into();
            connection.mark_affected(&organization_id);
            return Ok(Some(Agent { organization_id, identity_id: row.agent_identity_id.into() }));
        }
    }
    Ok(None)
}

/// The active connection between a human and an identity, and its line.
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
    request: &CommandRequest,
    handles: &[Handle],
) -> Result<CommandOutcome, StoreError> {
    let Some(agent) = find_agent(connection, handles).await? else { return Ok(CommandOutcome::Refused) };
    let Some((connection_id, _)) = active_route(connection, &request.remote_number, &agent).await? else {
        return Ok(CommandOutcome::Refused);
    };
    let released =
        connections::release_in(connection, &agent.organization_id, connection_id, request.now).await?;
    if released.is_none() {
        return Ok(CommandOutcome::Refused);
    }
    let identity = query!(
        "SELECT agent_handle FROM identities WHERE organization_id = $1 AND id = $2",
        agent.organization_id.as_str(),
        agent.identity_id.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(CommandOutcome::Disconnected { connection_id, handle: identity.agent_handle })
}

/// The handles that the human is connected to: at most as many as there are pool lines, because a human has
/// one connection per line.
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
