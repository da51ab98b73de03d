//! Texts that humans send: where they belong, and storing them.

mod append;

pub use append::{NewInbound, Storing, store};

use chrono::{DateTime, Utc};
use sqlx::query;

use super::contact_rules::rule_on_number;
use super::identities::filter_mode;
use super::{Database, Failure};
use crate::domain::{
    ConnectionId, ConversationId, IdentityId, LineRole, Media, MessageId, OrganizationId, PhoneNumber,
    Transport, Verdict, verdict,
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
    /// Whether the text was stored once and has been deleted since.
    pub forgotten: bool,
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
    provider_message_id: &str,
) -> Result<Option<Route>, Failure> {
    let mut session = db.look_up().await?;
    session.run(|connection| async move {
        let row = query!(
            r#"SELECT l.role, r.organization_id AS "organization_id?", r.agent_identity_id AS "agent_identity_id?",
                      r.connection_id AS "connection_id?",
                      ARRAY(SELECT o.organization_id FROM routed_organizations o
                            WHERE o.line_number = $1 AND o.remote_number = $2) AS "organizations!",
                      EXISTS (SELECT f.line_number FROM forgotten_texts f
                              WHERE f.line_number = $1 AND f.provider_message_id = $3) AS "forgotten!"
               FROM lines l
               LEFT JOIN routes r ON r.line_number = $1 AND r.remote_number = $2
               WHERE l.number = $1"#,
            line_number.as_str(),
            remote_number.as_str(),
            provider_message_id,
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
        let organizations = row.organizations.into_iter().map(Into::into).collect();
        Ok(Some(Route { role, to, organizations, forgotten: row.forgotten }))
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
    let mut session = db.look_up().await?;
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
    let mut session = db.look_up().await?;
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
