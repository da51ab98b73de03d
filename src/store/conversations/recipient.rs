//! The target of a send by number.

use sqlx::query;

use super::CallTarget;
use crate::domain::{ConnectionId, IdentityId, OrganizationId, PhoneNumber, Verdict, verdict};
use crate::error::{Error, Resource};
use crate::store::contact_rules::rule_on_number;
use crate::store::identities::filter_mode;
use crate::store::{Affects, Database, StoreError};

/// A number, as one identity stands to it.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// For the command that connects to it.
    agent_handle: String,
    imessage_enabled: bool,
    verdict: Verdict,
    /// The active connection.
    connection_id: Option<ConnectionId>,
    /// The conversation of the two, with the newest connection that it knows.
    conversation: Option<CallTarget>,
}

impl Recipient {
    /// The rules that stand between a send and a phone, in their order.
    ///
    /// # Errors
    /// `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased` or (still without the router number)
    /// `RecipientNotConnected`, `RecipientHasNotMessaged`.
    pub fn check_send(self) -> Result<CallTarget, Error> {
        if !self.imessage_enabled {
            return Err(Error::IdentityNotEnabled);
        }
        if let Verdict::Blocked { matched_rule_id } = self.verdict {
            return Err(Error::RecipientBlocked { matched_rule_id });
        }
        match (self.connection_id, self.conversation) {
            (None, Some(_)) => Err(Error::ConnectionReleased),
            (None, None) => Err(Error::RecipientNotConnected {
                router_number: None,
                connect_command: format!("connect @{}", self.agent_handle),
            }),
            (Some(_), None) => Err(Error::RecipientHasNotMessaged),
            (Some(_), Some(target)) => target.check_send().map(|()| target),
        }
    }
}

/// Reads how an identity stands to a number.
///
/// # Errors
/// `NotFound` when the organization has no such identity.
pub async fn recipient(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    number: &PhoneNumber,
) -> Result<Recipient, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session.run("query conversations::recipient::recipient", |connection| async move {
            let row = query!(
                r#"SELECT i.agent_handle, i.imessage_enabled, i.filter_mode,
                          r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?",
                          active.id AS "connection_id?",
                          c.id AS "conversation_id?", c.assignment_id AS "assignment_id?",
                          c.assignment_released AS "assignment_released?",
                          c.assignment_messaged AS "assignment_messaged?", c.clear_received AS "clear_received?",
                          newest.line_number AS "line_number?"
                   FROM identities i
                   LEFT JOIN contact_rules r ON r.organization_id = $1 AND r.agent_identity_id = $2
                                            AND r.match_target = $3
                   LEFT JOIN connections active ON active.organization_id = $1 AND active.agent_identity_id = $2
                                               AND active.remote_number = $3 AND active.released_at IS NULL
                   LEFT JOIN conversations c ON c.organization_id = $1 AND c.agent_identity_id = $2
                                            AND c.remote_number = $3
                   LEFT JOIN connections newest ON newest.organization_id = $1 AND newest.id = c.assignment_id
                   WHERE i.organization_id = $1 AND i.id = $2"#,
                organization_id.as_str(),
                identity_id.uuid(),
                number.as_str(),
            )
            .fetch_optional(connection)
            .await?
            .ok_or(Error::NotFound(Resource::Identity))?;
            let rule = rule_on_number(row.rule_id, row.rule_action, row.rule_status)?;
            let verdict = verdict(filter_mode(row.filter_mode, identity_id.uuid())?, rule);
            let conversation = match (row.conversation_id, row.assignment_id, row.line_number) {
                (Some(conversation_id), Some(assignment_id), Some(line_number)) => Some(CallTarget {
                    identity_id,
                    conversation_id: conversation_id.into(),
                    assignment_id: assignment_id.into(),
                    line_number: line_number.into(),
                    remote_number: number.clone(),
                    received: row.clear_received.unwrap_or(0),
                    imessage_enabled: row.imessage_enabled,
                    verdict,
                    released: row.assignment_released.unwrap_or(true),
                    messaged: row.assignment_messaged.unwrap_or(false),
                }),
                _ => None,
            };
            Ok(Recipient {
                agent_handle: row.agent_handle,
                imessage_enabled: row.imessage_enabled,
                verdict,
                connection_id: row.connection_id.map(Into::into),
                conversation,
            })
        })
        .await
}
