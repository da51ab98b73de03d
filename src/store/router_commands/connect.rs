//! The `connect` command: creates a connection on the least loaded pool line on which the human has none yet.

use sqlx::query;

use super::contact_history::remove_if_unconnected;
use super::{Agent, CommandOutcome, CommandRequest, active_route, find_agent};
use crate::domain::{EventType, Handle, NewEvent, PhoneNumber, verdict};
use crate::store::contact_rules::rule_on_number;
use crate::store::identities::filter_mode;
use crate::store::{DbConnection, StoreError};

/// How often a connect is retried when a concurrent command of the same human takes the chosen line or
/// connects the same identity.
const MAX_ATTEMPTS: u32 = 16;

pub(super) async fn connect(
    connection: &mut DbConnection,
    request: &CommandRequest,
    handles: &[Handle],
) -> Result<CommandOutcome, StoreError> {
    let Some(agent) = find_agent(connection, handles).await? else { return Ok(CommandOutcome::Refused) };
    let identity = query!(
        r#"SELECT i.agent_handle, i.imessage_enabled, i.filter_mode,
                  r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?"
           FROM identities i
           LEFT JOIN contact_rules r ON r.organization_id = $1 AND r.agent_identity_id = $2 AND r.match_target = $3
           WHERE i.organization_id = $1 AND i.id = $2"#,
        agent.organization_id.as_str(),
        agent.identity_id.uuid(),
        request.remote_number.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    // On a distributed database a handle may become visible before its identity.
    let Some(identity) = identity else { return Ok(CommandOutcome::Refused) };
    let rule = rule_on_number(identity.rule_id, identity.rule_action, identity.rule_status)?;
    let mode = filter_mode(identity.filter_mode, agent.identity_id.uuid())?;
    if !identity.imessage_enabled || verdict(mode, rule).is_blocked() {
        return Ok(CommandOutcome::Refused);
    }
    let handle = identity.agent_handle;
    for _ in 0..MAX_ATTEMPTS {
        let connected = active_route(connection, &request.remote_number, &agent).await?;
        if let Some((connection_id, line_number)) = connected {
            opt_in(connection, request, &agent).await?;
            return Ok(CommandOutcome::Connected { connection_id, line_number, handle });
        }
        let Some(line_number) = reserve_line(connection, request, &agent).await? else {
            // A concurrent connect to the same identity may have taken the last line.
            let route = active_route(connection, &request.remote_number, &agent).await?;
            return Ok(route.map_or(CommandOutcome::NoFreeLine, |(connection_id, line_number)| {
                CommandOutcome::Connected { connection_id, line_number, handle }
            }));
        };
        if insert_connection(connection, request, &agent, &line_number).await? {
            // Last, because every connect and release on this line waits for the lock of this row.
            let counted = query!(
                "UPDATE lines SET active_connections = active_connections + 1 WHERE number = $1",
                line_number.as_str()
            )
            .execute(connection)
            .await?;
            if counted.rows_affected() == 0 {
                return Err(StoreError::Unavailable("the line of a new connection was removed"));
            }
            return Ok(CommandOutcome::Connected {
                connection_id: request.new_connection_id,
                line_number,
                handle,
            });
        }
        // A concurrent connect to the same identity was faster. Release the line and try again, because that
        // connection may have been released since.
        release_line(connection, request, &agent, &line_number).await?;
    }
    Err(StoreError::Unavailable("concurrent connects and releases of the same human and identity"))
}

/// Inserts the route of the new connection on the least loaded pool line that is not paused and on which this
/// human has no route yet; `None` if there is no such line.
async fn reserve_line(
    connection: &mut DbConnection,
    request: &CommandRequest,
    agent: &Agent,
) -> Result<Option<PhoneNumber>, StoreError> {
    for _ in 0..MAX_ATTEMPTS {
        let free = query!(
            "SELECT l.number FROM lines l
             WHERE l.role = 2 AND l.paused_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM routes r WHERE r.line_number = l.number AND r.remote_number = $1)
             ORDER BY l.active_connections, l.number
             LIMIT 1",
            request.remote_number.as_str(),
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(free) = free else { return Ok(None) };
        let reserved = query!(
            "INSERT INTO routes (line_number, remote_number, organization_id, agent_identity_id, connection_id)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (line_number, remote_number) DO NOTHING",
            free.number,
            request.remote_number.as_str(),
            agent.organization_id.as_str(),
            agent.identity_id.uuid(),
            request.new_connection_id.uuid(),
        )
        .execute(&mut *connection)
        .await?
        .rows_affected()
            == 1;
        if reserved {
            query!(
                // The update changes nothing but locks the row: a discard of the last connection, which
                // deletes this row, waits for this connect or this connect waits for it.
                "INSERT INTO routed_organizations (line_number, remote_number, organization_id) VALUES ($1, $2, $3)
                 ON CONFLICT (line_number, remote_number, organization_id)
                 DO UPDATE SET organization_id = excluded.organization_id",
                free.number,
                request.remote_number.as_str(),
                agent.organization_id.as_str(),
            )
            .execute(connection)
            .await?;
            return Ok(Some(free.number.into()));
        }
    }
    Err(StoreError::Unavailable("concurrent connects of the same human took every line"))
}

/// Inserts the connection and assigns it to the conversation that the two may have from before. Returns false
/// if they are already connected.
async fn insert_connection(
    connection: &mut DbConnection,
    request: &CommandRequest,
    agent: &Agent,
    line_number: &PhoneNumber,
) -> Result<bool, StoreError> {
    let inserted = query!(
        "INSERT INTO connections (organization_id, id, agent_identity_id, line_number, remote_number, created_at,
                                  updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (organization_id, agent_identity_id, remote_number) WHERE released_at IS NULL DO NOTHING",
        agent.organization_id.as_str(),
        request.new_connection_id.uuid(),
        agent.identity_id.uuid(),
        line_number.as_str(),
        request.remote_number.as_str(),
        request.now,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    if inserted {
        let conversation = query!(
            "UPDATE conversations
             SET assignment_id = $4, assignment_released = false, assignment_messaged = false,
                 opted_out_at = NULL, updated_at = greatest(updated_at, $5)
             WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3
             RETURNING id",
            agent.organization_id.as_str(),
            agent.identity_id.uuid(),
            request.remote_number.as_str(),
            request.new_connection_id.uuid(),
            request.now,
        )
        .fetch_optional(&mut *connection)
        .await?;
        let event = NewEvent::of_connection(
            EventType::ConnectionOpened,
            agent.identity_id,
            conversation.map(|conversation| conversation.id.into()),
            request.new_connection_id,
        );
        connection.log_event(&agent.organization_id, event)?;
    }
    Ok(inserted)
}

/// Clears the opt-out of a human who is connected and sends the command once more, which asks for messages.
async fn opt_in(
    connection: &mut DbConnection,
    request: &CommandRequest,
    agent: &Agent,
) -> Result<(), StoreError> {
    query!(
        "UPDATE conversations SET opted_out_at = NULL
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3 AND opted_out_at IS NOT NULL",
        agent.organization_id.as_str(),
        agent.identity_id.uuid(),
        request.remote_number.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Undoes [`reserve_line`]. Also removes the contact history unless there was a connection before: nothing
/// else would ever remove it, since an erasure of this human searches by connections.
async fn release_line(
    connection: &mut DbConnection,
    request: &CommandRequest,
    agent: &Agent,
    line_number: &PhoneNumber,
) -> Result<(), StoreError> {
    query!(
        "DELETE FROM routes WHERE line_number = $1 AND remote_number = $2 AND connection_id = $3",
        line_number.as_str(),
        request.remote_number.as_str(),
        request.new_connection_id.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    remove_if_unconnected(connection, &agent.organization_id, line_number, &request.remote_number).await?;
    Ok(())
}
