//! What a call that reaches the human's phone must know first.

use sqlx::query;

use crate::domain::{
    ConnectionId, ConversationId, IdentityId, OrganizationId, PhoneNumber, Verdict, verdict,
};
use crate::error::{Error, Resource};
use crate::line::{Thread, ThreadOwner};
use crate::store::contact_rules::rule_on_number;
use crate::store::identities::filter_mode;
use crate::store::{Database, Failure};

/// A conversation, with all that decides whether its human may be reached, as one snapshot.
#[derive(Debug, Clone)]
pub struct CallTarget {
    /// Its identity.
    pub identity_id: IdentityId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its newest connection.
    pub assignment_id: ConnectionId,
    /// The line of that connection.
    pub line_number: PhoneNumber,
    /// The human.
    pub remote_number: PhoneNumber,
    /// How many non-blocked inbound messages there were: how far a mark-read that begins now may go.
    pub received: i32,
    pub(super) imessage_enabled: bool,
    pub(super) verdict: Verdict,
    pub(super) released: bool,
    pub(super) messaged: bool,
}

impl CallTarget {
    /// The two ends that a line needs.
    #[must_use]
    pub fn thread(&self, organization_id: &OrganizationId) -> Thread {
        Thread {
            owner: Some(ThreadOwner {
                organization_id: organization_id.clone(),
                conversation_id: self.conversation_id,
            }),
            line_number: self.line_number.clone(),
            remote_number: self.remote_number.clone(),
        }
    }

    /// The rules that stand between a caller and a phone, in their order.
    ///
    /// # Errors
    /// `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased`.
    pub fn check(&self) -> Result<(), Error> {
        if !self.imessage_enabled {
            return Err(Error::IdentityNotEnabled);
        }
        if let Verdict::Blocked { matched_rule_id } = self.verdict {
            return Err(Error::RecipientBlocked { matched_rule_id });
        }
        if self.released {
            return Err(Error::ConnectionReleased);
        }
        Ok(())
    }
}

impl CallTarget {
    /// The rules of a call about a message: those of every call, and that the connection which carried it is the active
    /// one. The carrier's id of a message means nothing on another line.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn check_on(&self, carried_by: ConnectionId) -> Result<(), Error> {
        self.check()?;
        if self.assignment_id == carried_by { Ok(()) } else { Err(Error::ConnectionReleased) }
    }

    /// The rules of a send: those of every call, and that the human has to text first on each connection.
    ///
    /// # Errors
    /// Those of [`Self::check`], then `RecipientHasNotMessaged`.
    pub fn check_send(&self) -> Result<(), Error> {
        self.check()?;
        if self.messaged { Ok(()) } else { Err(Error::RecipientHasNotMessaged) }
    }
}

/// Reads the target of a call on a conversation.
///
/// # Errors
/// `NotFound` when the organization, or the identity where one is named, has no such conversation.
pub async fn target(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    id: ConversationId,
) -> Result<CallTarget, Failure> {
    let identity_id = identity_id.map(IdentityId::uuid);
    let mut session = db.look_up().await?;
    session.run(|connection| async move {
        let row = query!(
            r#"SELECT c.agent_identity_id, c.remote_number, c.assignment_id, c.assignment_released,
                          c.assignment_messaged, c.clear_received,
                      k.line_number, i.imessage_enabled, i.filter_mode,
                      r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?"
               FROM conversations c
               JOIN identities i ON i.organization_id = $1 AND i.id = c.agent_identity_id
               JOIN connections k ON k.organization_id = $1 AND k.id = c.assignment_id
               LEFT JOIN contact_rules r ON r.organization_id = $1 AND r.agent_identity_id = c.agent_identity_id
                                        AND r.match_target = c.remote_number
               WHERE c.organization_id = $1 AND c.id = $2 AND ($3::uuid IS NULL OR c.agent_identity_id = $3)"#,
            organization_id.as_str(),
            id.uuid(),
            identity_id,
        )
        .fetch_optional(connection)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
        let rule = rule_on_number(row.rule_id, row.rule_action, row.rule_status)?;
        Ok(CallTarget {
            identity_id: row.agent_identity_id.into(),
            conversation_id: id,
            assignment_id: row.assignment_id.into(),
            line_number: row.line_number.into(),
            remote_number: row.remote_number.into(),
            received: row.clear_received,
            imessage_enabled: row.imessage_enabled,
            verdict: verdict(filter_mode(row.filter_mode, row.agent_identity_id)?, rule),
            released: row.assignment_released,
            messaged: row.assignment_messaged,
        })
    })
    .await
}
