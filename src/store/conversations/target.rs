//! What a call that reaches the human's phone must know first.

use futures_util::future::BoxFuture;
use sqlx::query_as;
use uuid::Uuid;

use crate::carriers::{Thread, ThreadOwner};
use crate::domain::{
    ConnectionId, ConversationId, IdentityId, OrganizationId, PhoneNumber, Verdict, verdict,
};
use crate::error::{Error, Resource};
use crate::store::contact_rules::rule_on_number;
use crate::store::gathered::{Answers, Shared};
use crate::store::identities::filter_mode;
use crate::store::session::traced;
use crate::store::{Database, DbConnection, StoreError};

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
) -> Result<CallTarget, StoreError> {
    let asking = db.shared.targets.ask(db, (organization_id.clone(), identity_id), id);
    traced("query conversations::target::target", asking).await
}

/// Targets in an organization, of one identity where one is named, by their conversations.
pub(in crate::store) struct TargetById;

impl Shared for TargetById {
    type Group = (OrganizationId, Option<IdentityId>);
    type Item = ConversationId;
    type Answer = CallTarget;

    fn run<'a>(
        link: &'a mut DbConnection,
        whose: &'a Self::Group,
        ids: &'a [ConversationId],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>> {
        Box::pin(by_id(link, whose, ids))
    }
}

/// `OFFSET 0` has the others looked up for each conversation: free to choose, PostgreSQL begins with all identities.
async fn by_id(
    link: &mut DbConnection,
    (organization_id, identity_id): &(OrganizationId, Option<IdentityId>),
    ids: &[ConversationId],
) -> Result<Answers<TargetById>, StoreError> {
    let asked: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = query_as!(
        Row,
        r#"SELECT c.id, c.agent_identity_id, c.remote_number, c.assignment_id, c.assignment_released,
                      c.assignment_messaged, c.clear_received,
                  k.line_number, i.imessage_enabled, i.filter_mode,
                  r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?"
           FROM conversations c
           CROSS JOIN LATERAL (SELECT imessage_enabled, filter_mode FROM identities
                               WHERE organization_id = $1 AND id = c.agent_identity_id OFFSET 0) i
           CROSS JOIN LATERAL (SELECT line_number FROM connections
                               WHERE organization_id = $1 AND id = c.assignment_id OFFSET 0) k
           LEFT JOIN LATERAL (SELECT id, action, status FROM contact_rules
                              WHERE organization_id = $1 AND agent_identity_id = c.agent_identity_id
                                AND match_target = c.remote_number OFFSET 0) r ON true
           WHERE c.organization_id = $1 AND c.id = ANY($2) AND ($3::uuid IS NULL OR c.agent_identity_id = $3)"#,
        organization_id.as_str(),
        &asked,
        identity_id.map(IdentityId::uuid),
    )
    .fetch_all(link)
    .await?;
    let found = |id: &ConversationId| rows.iter().find(|row| row.id == id.uuid());
    Ok(ids.iter().map(|id| found(id).ok_or(Error::NotFound(Resource::Conversation))?.target()).collect())
}

struct Row {
    id: Uuid,
    agent_identity_id: Uuid,
    remote_number: String,
    assignment_id: Uuid,
    assignment_released: bool,
    assignment_messaged: bool,
    clear_received: i32,
    line_number: String,
    imessage_enabled: bool,
    filter_mode: i16,
    rule_id: Option<Uuid>,
    rule_action: Option<i16>,
    rule_status: Option<i16>,
}

impl Row {
    fn target(&self) -> Result<CallTarget, StoreError> {
        let rule = rule_on_number(self.rule_id, self.rule_action, self.rule_status)?;
        Ok(CallTarget {
            identity_id: self.agent_identity_id.into(),
            conversation_id: self.id.into(),
            assignment_id: self.assignment_id.into(),
            line_number: self.line_number.clone().into(),
            remote_number: self.remote_number.clone().into(),
            received: self.clear_received,
            imessage_enabled: self.imessage_enabled,
            verdict: verdict(filter_mode(self.filter_mode, self.agent_identity_id)?, rule),
            released: self.assignment_released,
            messaged: self.assignment_messaged,
        })
    }
}
