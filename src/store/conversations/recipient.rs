//! The target of a send to a number.

use sqlx::query;

use super::contact_target::ContactTarget;
use crate::domain::{
    Eligibility, IdentityId, Ineligible, OrganizationId, PhoneNumber, RecipientEligibility, verdict,
};
use crate::store::contact_rules::rule_on_number;
use crate::store::identities::filter_mode;
use crate::store::{Affects, Database, StoreError};

/// A number, as one identity may reach it.
#[derive(Debug, Clone)]
pub struct Recipient {
    eligibility: RecipientEligibility,
    /// The conversation of the two. Its newest connection is the one that it knows of.
    conversation: Option<ContactTarget>,
}

impl Recipient {
    /// Whether the two have neither a connection nor a conversation.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        !self.eligibility.is_connected && self.conversation.is_none()
    }

    /// The target of a send.
    ///
    /// # Errors
    /// Those of [`RecipientEligibility::check_send`].
    pub fn into_target(self) -> Result<ContactTarget, Ineligible> {
        self.eligibility.check_send()?;
        // A recipient that passed the checks has a conversation.
        self.conversation.ok_or(Ineligible::RecipientHasNotMessaged)
    }
}

/// How an identity may reach a number; `None` if the organization has no such identity.
pub async fn recipient(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    number: &PhoneNumber,
) -> Result<Option<Recipient>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query conversations::recipient::recipient", |connection| async move {
            let row = query!(
                r#"SELECT i.agent_handle, i.imessage_enabled, i.filter_mode,
                          r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?",
                          active.id AS "connection_id?",
                          c.id AS "conversation_id?", c.assignment_id AS "assignment_id?",
                          c.assignment_released AS "assignment_released?",
                          c.assignment_messaged AS "assignment_messaged?",
                          c.opted_out_at AS "opted_out_at?", c.clear_received AS "clear_received?",
                          c.clear_total AS "clear_total?",
                          newest.line_number AS "line_number?", newest.carrier_chat AS "carrier_chat?"
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
            .await?;
            let Some(row) = row else { return Ok(None) };
            let rule = rule_on_number(row.rule_id, row.rule_action, row.rule_status)?;
            let verdict = verdict(filter_mode(row.filter_mode, identity_id.uuid())?, rule);
            let conversation = match (row.conversation_id, row.assignment_id, row.line_number) {
                (Some(conversation_id), Some(assignment_id), Some(line_number)) => Some(ContactTarget {
                    identity_id,
                    conversation_id: conversation_id.into(),
                    line_number: line_number.into(),
                    remote_number: number.clone(),
                    chat: row.carrier_chat,
                    received_count: row.clear_received.unwrap_or(0),
                    sent_count: row.clear_total.unwrap_or(0) - row.clear_received.unwrap_or(0),
                    eligibility: Eligibility {
                        imessage_enabled: row.imessage_enabled,
                        verdict,
                        connection_id: assignment_id.into(),
                        is_released: row.assignment_released.unwrap_or(true),
                        has_opted_out: row.opted_out_at.is_some(),
                        has_inbound: row.assignment_messaged.unwrap_or(false),
                    },
                }),
                _ => None,
            };
            let eligibility = RecipientEligibility {
                agent_handle: row.agent_handle,
                imessage_enabled: row.imessage_enabled,
                verdict,
                is_connected: row.connection_id.is_some(),
                conversation: conversation.as_ref().map(|conversation| conversation.eligibility),
            };
            Ok(Some(Recipient { eligibility, conversation }))
        })
        .await
}
