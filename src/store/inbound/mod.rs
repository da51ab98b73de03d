//! Texts that humans send: where they belong, and storing them.

mod append;
mod situation;

pub use append::{NewInbound, Storing, store};
pub(super) use situation::SituationOfText;
pub use situation::{Situation, situation};

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Database, Failure};
use crate::domain::{
    ConnectionId, ConversationId, IdentityId, LineRole, Media, MessageId, OrganizationId, PhoneNumber,
    Transport,
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
