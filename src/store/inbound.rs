//! Texts that humans send: where they belong, and storing them.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::query;

use super::contact_rules::rule_on_number;
use super::identities::filter_mode;
use super::{Database, Failure};
use crate::domain::{
    ConnectionId, ConversationId, DeliveryStatus, Direction, IdentityId, LineRole, Media, MessageId,
    OrganizationId, PhoneNumber, Transport, Verdict, preview, verdict,
};

/// A text that a line delivered.
#[derive(Debug, Clone)]
pub struct InboundText {
    /// The line that the human texted.
    pub line_number: PhoneNumber,
    /// The human.
    pub remote_number: PhoneNumber,
    /// What was said; `None` when there is only media.
    pub text: Option<String>,
    /// Files.
    pub media: Vec<Media>,
    /// The carrier's id, unique per line.
    pub provider_message_id: String,
    /// When it was sent, not later than now.
    pub sent_at: DateTime<Utc>,
    /// What carried it.
    pub transport: Transport,
}

/// What a line is for, and whom it connects a human to.
#[derive(Debug, Clone)]
pub struct Route {
    /// The line's role.
    pub role: LineRole,
    /// The active connection of this human on this line.
    pub to: Option<Destination>,
    /// Every organization that this human reached over this line, now or before.
    pub organizations: Vec<OrganizationId>,
}

/// The active connection that an inbound text belongs to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its identity.
    pub identity_id: IdentityId,
    /// The connection.
    pub connection_id: ConnectionId,
}

/// Where texts of this human to this line go; `None` when the line is not ours. Reads global tables only: the
/// organization is not known before.
pub async fn route(
    db: &Database,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
) -> Result<Option<Route>, Failure> {
    let mut session = db.session().await?;
    session.run(|connection| async move {
        let row = query!(
            r#"SELECT l.role, r.organization_id AS "organization_id?", r.agent_identity_id AS "agent_identity_id?",
                      r.connection_id AS "connection_id?",
                      ARRAY(SELECT o.organization_id FROM routed_organizations o
                            WHERE o.line_number = $1 AND o.remote_number = $2) AS "organizations!"
               FROM lines l
               LEFT JOIN routes r ON r.line_number = $1 AND r.remote_number = $2
               WHERE l.number = $1"#,
            line_number.as_str(),
            remote_number.as_str(),
        )
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role = LineRole::from_number(row.role).ok_or(Failure::Corrupt {
            table: "lines",
            column: "role",
            id: uuid::Uuid::nil(),
        })?;
        let to = match (row.organization_id, row.agent_identity_id, row.connection_id) {
            (Some(organization_id), Some(identity_id), Some(connection_id)) => Some(Destination {
                organization_id: organization_id.into(),
                identity_id: identity_id.into(),
                connection_id: connection_id.into(),
            }),
            _ => None,
        };
        Ok(Some(Route { role, to, organizations: row.organizations.into_iter().map(Into::into).collect() }))
    })
    .await
}

/// A text that is stored already.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// The message.
    pub message_id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The connection it came on.
    pub connection_id: ConnectionId,
}

/// The message that an organization already has of this delivery.
pub async fn find_delivered(
    db: &Database,
    organization_id: &OrganizationId,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<Option<Stored>, Failure> {
    let mut session = db.session().await?;
    session
        .run(|connection| async move {
            let row = query!(
                "SELECT id, conversation_id, assignment_id FROM messages
             WHERE organization_id = $1 AND line_number = $2 AND provider_message_id = $3",
                organization_id.as_str(),
                line_number.as_str(),
                provider_message_id,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| Stored {
                message_id: row.id.into(),
                conversation_id: row.conversation_id.into(),
                connection_id: row.assignment_id.into(),
            }))
        })
        .await
}

/// All that decides what becomes of a text or tapback, inside its organization.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Whether the identity takes texts at all.
    pub imessage_enabled: bool,
    /// Whether this human may reach it.
    pub verdict: Verdict,
    /// The conversation of the two; `None` before the first message.
    pub conversation_id: Option<ConversationId>,
    /// The message with this provider id on this line, if the organization has it.
    pub delivered: Option<Stored>,
}

/// Reads the situation at a destination.
pub async fn situation(
    db: &Database,
    to: &Destination,
    remote_number: &PhoneNumber,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<Situation, Failure> {
    let mut session = db.session().await?;
    session
        .run(|connection| async move {
            let row = query!(
                r#"SELECT i.imessage_enabled, i.filter_mode,
                      r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?",
                      c.id AS "conversation_id?",
                      m.id AS "message_id?", m.conversation_id AS "message_conversation_id?",
                      m.assignment_id AS "message_assignment_id?"
               FROM identities i
               LEFT JOIN contact_rules r ON r.organization_id = $1 AND r.agent_identity_id = $2
                                        AND r.match_target = $3
               LEFT JOIN conversations c ON c.organization_id = $1 AND c.agent_identity_id = $2
                                        AND c.remote_number = $3
               LEFT JOIN messages m ON m.organization_id = $1 AND m.line_number = $4
                                   AND m.provider_message_id = $5
               WHERE i.organization_id = $1 AND i.id = $2"#,
                to.organization_id.as_str(),
                to.identity_id.uuid(),
                remote_number.as_str(),
                line_number.as_str(),
                provider_message_id,
            )
            .fetch_one(connection)
            .await?;
            let rule = rule_on_number(row.rule_id, row.rule_action, row.rule_status)?;
            let delivered = match (row.message_id, row.message_conversation_id, row.message_assignment_id) {
                (Some(message_id), Some(conversation_id), Some(connection_id)) => Some(Stored {
                    message_id: message_id.into(),
                    conversation_id: conversation_id.into(),
                    connection_id: connection_id.into(),
                }),
                _ => None,
            };
            Ok(Situation {
                imessage_enabled: row.imessage_enabled,
                verdict: verdict(filter_mode(row.filter_mode, to.identity_id.uuid())?, rule),
                conversation_id: row.conversation_id.map(Into::into),
                delivered,
            })
        })
        .await
}

/// A text with all that was decided of it.
#[derive(Debug, Clone)]
pub struct NewInbound {
    /// The text.
    pub text: InboundText,
    /// Where it goes.
    pub to: Destination,
    /// Its message id.
    pub message_id: MessageId,
    /// Id of the conversation, should this be its first message.
    pub new_conversation_id: ConversationId,
    /// Whether it is kept from the agent.
    pub is_blocked: bool,
    /// When it arrived.
    pub now: DateTime<Utc>,
}

/// What became of a text that was to be stored.
#[derive(Debug, Clone, Copy)]
pub enum Storing {
    /// It is stored.
    Stored(Stored),
    /// Another delivery of the same text was faster.
    Delivered,
    /// The connection ended meanwhile: nothing was stored.
    NotConnected,
}

/// Stores a text and sums it up in its conversation, in one statement; the first text of all makes the conversation
/// in the same transaction.
pub async fn store(
    db: &Database,
    new: NewInbound,
    conversation_id: Option<ConversationId>,
) -> Result<Storing, Failure> {
    let stored = match conversation_id {
        Some(conversation_id) => {
            let mut session = db.session().await?;
            session.run(|connection| append(connection, &new, conversation_id)).await
        }
        // Two tables must agree on whether the connection is active while the conversation is made.
        None => {
            db.transaction(move |connection| {
                let new = new.clone();
                Box::pin(async move {
                    match begin_conversation(connection, &new).await? {
                        Some(conversation_id) => append(connection, &new, conversation_id).await,
                        None => Ok(Storing::NotConnected),
                    }
                })
            })
            .await
        }
    };
    match stored {
        Err(failure) if failure.violates("messages_one_per_provider_id") => Ok(Storing::Delivered),
        other => other,
    }
}

/// Makes the conversation, with nothing in it yet; `None` when the connection is not active. The connection's lock
/// makes first messages that race wait for each other, and a release wait for all of them.
async fn begin_conversation(
    connection: &mut PgConnection,
    new: &NewInbound,
) -> Result<Option<ConversationId>, Failure> {
    let active = query!(
        "SELECT id FROM connections
         WHERE organization_id = $1 AND id = $2 AND released_at IS NULL
         FOR UPDATE",
        new.to.organization_id.as_str(),
        new.to.connection_id.uuid(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    if active.is_none() {
        return Ok(None);
    }
    query!(
        "INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id,
                                    created_at, updated_at, latest_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
         ON CONFLICT (organization_id, agent_identity_id, remote_number) DO NOTHING",
        new.to.organization_id.as_str(),
        new.new_conversation_id.uuid(),
        new.to.identity_id.uuid(),
        new.text.remote_number.as_str(),
        new.to.connection_id.uuid(),
        new.now,
        new.text.sent_at,
    )
    .execute(&mut *connection)
    .await?;
    let row = query!(
        "SELECT id FROM conversations
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3",
        new.to.organization_id.as_str(),
        new.to.identity_id.uuid(),
        new.text.remote_number.as_str(),
    )
    .fetch_one(connection)
    .await?;
    Ok(Some(row.id.into()))
}

/// Adds the message and moves the summary, while the connection is the conversation's active one.
async fn append(
    connection: &mut PgConnection,
    new: &NewInbound,
    conversation_id: ConversationId,
) -> Result<Storing, Failure> {
    let media = (!new.text.media.is_empty()).then(|| serde_json::json!(new.text.media));
    let text = new.text.text.as_deref();
    let rows = if new.is_blocked {
        query!(
            "WITH summary AS (
                 UPDATE conversations SET
                     latest_at = greatest(latest_at, $12),
                     blocked_is_latest = blocked_is_latest
                         OR coalesce(($12, $4) > (clear_latest_at, clear_latest_id), true),
                     blocked_total = blocked_total + 1,
                     blocked_latest_id = CASE WHEN blocked_latest_at IS NULL
                         OR ($12, $4) > (blocked_latest_at, blocked_latest_id) THEN $4 ELSE blocked_latest_id END,
                     blocked_latest_text = CASE WHEN blocked_latest_at IS NULL
                         OR ($12, $4) > (blocked_latest_at, blocked_latest_id) THEN $14 ELSE blocked_latest_text END,
                     blocked_latest_has_media = CASE WHEN blocked_latest_at IS NULL
                         OR ($12, $4) > (blocked_latest_at, blocked_latest_id) THEN $9::jsonb IS NOT NULL
                         ELSE blocked_latest_has_media END,
                     blocked_latest_at = greatest(blocked_latest_at, $12)
                 WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
                 RETURNING agent_identity_id)
             INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                                   provider_message_id, direction, received_number, is_blocked, text, media, transport,
                                   status, created_at, updated_at)
             SELECT $1, $4, $2, agent_identity_id, $3, $5, $6, $7, NULL, true, $8, $9, $10, $11, $12, $13
             FROM summary",
            new.to.organization_id.as_str(),
            conversation_id.uuid(),
            new.to.connection_id.uuid(),
            new.message_id.uuid(),
            new.text.line_number.as_str(),
            new.text.provider_message_id,
            Direction::Inbound.number(),
            text,
            media,
            new.text.transport.number(),
            DeliveryStatus::Received.number(),
            new.text.sent_at,
            new.now,
            text.map(preview),
        )
        .execute(connection)
        .await?
    } else {
        query!(
            "WITH summary AS (
                 UPDATE conversations SET
                     updated_at = greatest(updated_at, $13),
                     assignment_messaged = true,
                     latest_at = greatest(latest_at, $12),
                     blocked_is_latest = blocked_is_latest
                         AND (blocked_latest_at, blocked_latest_id) > ($12, $4),
                     clear_total = clear_total + 1,
                     clear_received = clear_received + 1,
                     clear_latest_id = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $4 ELSE clear_latest_id END,
                     clear_latest_direction = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $7 ELSE clear_latest_direction END,
                     clear_latest_text = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $14 ELSE clear_latest_text END,
                     clear_latest_has_media = CASE WHEN clear_latest_at IS NULL
                         OR ($12, $4) > (clear_latest_at, clear_latest_id) THEN $9::jsonb IS NOT NULL
                         ELSE clear_latest_has_media END,
                     clear_latest_at = greatest(clear_latest_at, $12)
                 WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
                 RETURNING agent_identity_id, clear_received)
             INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                                   provider_message_id, direction, received_number, is_blocked, text, media, transport,
                                   status, created_at, updated_at)
             SELECT $1, $4, $2, agent_identity_id, $3, $5, $6, $7, clear_received, false, $8, $9, $10, $11, $12, $13
             FROM summary",
            new.to.organization_id.as_str(),
            conversation_id.uuid(),
            new.to.connection_id.uuid(),
            new.message_id.uuid(),
            new.text.line_number.as_str(),
            new.text.provider_message_id,
            Direction::Inbound.number(),
            text,
            media,
            new.text.transport.number(),
            DeliveryStatus::Received.number(),
            new.text.sent_at,
            new.now,
            text.map(preview),
        )
        .execute(connection)
        .await?
    };
    Ok(if rows.rows_affected() == 1 {
        Storing::Stored(Stored {
            message_id: new.message_id,
            conversation_id,
            connection_id: new.to.connection_id,
        })
    } else {
        Storing::NotConnected
    })
}
