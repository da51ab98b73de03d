//! What a call that reaches the human's phone needs to know of its conversation.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::query_as;
use uuid::Uuid;

use crate::domain::{
    ConnectionId, ConversationId, Eligibility, IdentityId, OrganizationId, PhoneNumber, Thread, ThreadOwner,
    verdict,
};
use crate::error::Error;
use crate::store::contact_rules::rule_on_number;
use crate::store::identities::filter_mode;
use crate::store::pool::batch::{BatchQuery, Outputs};
use crate::store::{Database, DbConnection, StoreError};

/// A conversation as the target of a call, read as one snapshot.
#[derive(Debug, Clone)]
pub struct ContactTarget {
    pub identity_id: IdentityId,
    pub conversation_id: ConversationId,
    /// The line of its newest connection.
    pub line_number: PhoneNumber,
    pub remote_number: PhoneNumber,
    /// The carrier's id of the chat on that connection, if it is known.
    pub chat: Option<String>,
    /// The number of non-blocked inbound messages: the horizon of a mark-read call that begins now.
    pub received_count: i32,
    /// The number of messages that were sent in the conversation.
    pub sent_count: i32,
    /// Whether a call may reach the human, and the newest connection.
    pub eligibility: Eligibility,
}

impl ContactTarget {
    /// The checks of every call.
    ///
    /// # Errors
    /// Those of [`Eligibility::check`].
    pub fn check(&self) -> Result<(), Error> {
        self.eligibility.check().map_err(|ineligible| Error::ineligible(ineligible, &self.remote_number))
    }

    /// The checks of a read receipt.
    ///
    /// # Errors
    /// Those of [`Eligibility::check_receipt`].
    pub fn check_receipt(&self) -> Result<(), Error> {
        let checked = self.eligibility.check_receipt();
        checked.map_err(|ineligible| Error::ineligible(ineligible, &self.remote_number))
    }

    /// The checks of a call about a message that this connection carried.
    ///
    /// # Errors
    /// Those of [`Eligibility::check_on`].
    pub fn check_on(&self, carried_by: ConnectionId) -> Result<(), Error> {
        let checked = self.eligibility.check_on(carried_by);
        checked.map_err(|ineligible| Error::ineligible(ineligible, &self.remote_number))
    }

    /// The checks of a send.
    ///
    /// # Errors
    /// Those of [`Eligibility::check_send`].
    pub fn check_send(&self) -> Result<(), Error> {
        self.eligibility.check_send().map_err(|ineligible| Error::ineligible(ineligible, &self.remote_number))
    }

    /// The two ends that a carrier needs.
    #[must_use]
    pub fn thread(&self, organization_id: &OrganizationId) -> Thread {
        Thread {
            owner: Some(ThreadOwner {
                organization_id: organization_id.clone(),
                conversation_id: self.conversation_id,
            }),
            line_number: self.line_number.clone(),
            remote_number: self.remote_number.clone(),
            chat: self.chat.clone(),
        }
    }
}

/// The target of a call on a conversation of an organization; of one identity, if one is named.
pub async fn target(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    id: ConversationId,
) -> Result<Option<ContactTarget>, StoreError> {
    db.load::<TargetBatch>((organization_id.clone(), identity_id), id).await
}

struct TargetBatch;

impl BatchQuery for TargetBatch {
    type Scope = (OrganizationId, Option<IdentityId>);
    type Key = ConversationId;
    type Output = Option<ContactTarget>;

    const SPAN: &'static str = "query conversations::target::target";

    fn run<'a>(
        connection: &'a mut DbConnection,
        scope: &'a Self::Scope,
        ids: &'a [ConversationId],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(by_id(connection, scope, ids))
    }
}

/// `OFFSET 0` makes PostgreSQL look up the joined rows per conversation. Otherwise it starts with all identities.
async fn by_id(
    connection: &mut DbConnection,
    (organization_id, identity_id): &(OrganizationId, Option<IdentityId>),
    ids: &[ConversationId],
) -> Result<Outputs<TargetBatch>, StoreError> {
    let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = query_as!(
        Row,
        r#"SELECT c.id, c.agent_identity_id, c.remote_number, c.assignment_id, c.assignment_released,
                  c.assignment_messaged, c.opted_out_at, c.clear_received, c.clear_total,
                  k.line_number, k.carrier_chat, i.imessage_enabled, i.filter_mode,
                  r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?"
           FROM conversations c
           CROSS JOIN LATERAL (SELECT imessage_enabled, filter_mode FROM identities
                               WHERE organization_id = $1 AND id = c.agent_identity_id OFFSET 0) i
           CROSS JOIN LATERAL (SELECT line_number, carrier_chat FROM connections
                               WHERE organization_id = $1 AND id = c.assignment_id OFFSET 0) k
           LEFT JOIN LATERAL (SELECT id, action, status FROM contact_rules
                              WHERE organization_id = $1 AND agent_identity_id = c.agent_identity_id
                                AND match_target = c.remote_number OFFSET 0) r ON true
           WHERE c.organization_id = $1 AND c.id = ANY($2) AND ($3::uuid IS NULL OR c.agent_identity_id = $3)"#,
        organization_id.as_str(),
        &uuids,
        identity_id.map(IdentityId::uuid),
    )
    .fetch_all(connection)
    .await?;
    let found = |id: &ConversationId| rows.iter().find(|row| row.id == id.uuid());
    Ok(ids.iter().map(|id| found(id).map(Row::target).transpose()).collect())
}

struct Row {
    id: Uuid,
    agent_identity_id: Uuid,
    remote_number: String,
    assignment_id: Uuid,
    assignment_released: bool,
    assignment_messaged: bool,
    opted_out_at: Option<DateTime<Utc>>,
    clear_received: i32,
    clear_total: i32,
    line_number: String,
    carrier_chat: Option<String>,
    imessage_enabled: bool,
    filter_mode: i16,
    rule_id: Option<Uuid>,
    rule_action: Option<i16>,
    rule_status: Option<i16>,
}

impl Row {
    fn target(&self) -> Result<ContactTarget, StoreError> {
        let rule = rule_on_number(self.rule_id, self.rule_action, self.rule_status)?;
        Ok(ContactTarget {
            identity_id: self.agent_identity_id.into(),
            conversation_id: self.id.into(),
            line_number: self.line_number.clone().into(),
            remote_number: self.remote_number.clone().into(),
            chat: self.carrier_chat.clone(),
            received_count: self.clear_received,
            sent_count: self.clear_total - self.clear_received,
            eligibility: Eligibility {
                imessage_enabled: self.imessage_enabled,
                verdict: verdict(filter_mode(self.filter_mode, self.agent_identity_id)?, rule),
                connection_id: self.assignment_id.into(),
                is_released: self.assignment_released,
                has_opted_out: self.opted_out_at.is_some(),
                has_inbound: self.assignment_messaged,
            },
        })
    }
}
