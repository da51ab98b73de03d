//! What decides how an inbound message is handled, once its organization is known.

use futures_util::future::BoxFuture;
use sqlx::query_as;
use uuid::Uuid;

use super::message::StoredMessage;
use super::route::Destination;
use crate::domain::{ConversationId, IdentityId, OrganizationId, PhoneNumber, Verdict, verdict};
use crate::store::contact_rules::rule_on_number;
use crate::store::identities::filter_mode;
use crate::store::pool::batch::{BatchQuery, Outputs, key_index};
use crate::store::{Database, DbConnection, StoreError};

/// The state of the destination of a message or tapback.
#[derive(Debug, Clone)]
pub struct DeliveryContext {
    /// Whether the identity accepts messages at all.
    pub imessage_enabled: bool,
    /// Whether this human may reach it.
    pub verdict: Verdict,
    /// `None` before the first message.
    pub conversation_id: Option<ConversationId>,
    /// The message with this provider id on this line, if the organization has it.
    pub delivered: Option<StoredMessage>,
}

pub async fn delivery_context(
    db: &Database,
    to: &Destination,
    remote_number: &PhoneNumber,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<DeliveryContext, StoreError> {
    let key = ContextKey {
        identity_id: to.identity_id,
        remote_number: remote_number.clone(),
        line_number: line_number.clone(),
        provider_message_id: provider_message_id.to_owned(),
    };
    db.load::<DeliveryContextBatch>(to.organization_id.clone(), key).await
}

struct DeliveryContextBatch;

struct ContextKey {
    identity_id: IdentityId,
    remote_number: PhoneNumber,
    line_number: PhoneNumber,
    provider_message_id: String,
}

impl BatchQuery for DeliveryContextBatch {
    type Scope = OrganizationId;
    type Key = ContextKey;
    type Output = DeliveryContext;

    const SPAN: &'static str = "query inbound::situation::situation";

    fn run<'a>(
        connection: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        keys: &'a [ContextKey],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(contexts(connection, organization_id, keys))
    }
}

/// `OFFSET 0` makes PostgreSQL look up everything per key, whatever number of keys it plans for.
async fn contexts(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    keys: &[ContextKey],
) -> Result<Outputs<DeliveryContextBatch>, StoreError> {
    let identities: Vec<Uuid> = keys.iter().map(|key| key.identity_id.uuid()).collect();
    let humans: Vec<&str> = keys.iter().map(|key| key.remote_number.as_str()).collect();
    let lines: Vec<&str> = keys.iter().map(|key| key.line_number.as_str()).collect();
    let provider_ids: Vec<&str> = keys.iter().map(|key| key.provider_message_id.as_str()).collect();
    let rows = query_as!(
        Row,
        r#"SELECT t.number AS "number!", i.id, i.imessage_enabled, i.filter_mode,
                  r.id AS "rule_id?", r.action AS "rule_action?", r.status AS "rule_status?",
                  c.id AS "conversation_id?",
                  m.id AS "message_id?", m.conversation_id AS "message_conversation_id?",
                  m.assignment_id AS "message_assignment_id?"
           FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[])
                WITH ORDINALITY t (identity_id, remote_number, line_number, provider_message_id, number)
           CROSS JOIN LATERAL (SELECT id, imessage_enabled, filter_mode FROM identities
                               WHERE organization_id = $1 AND id = t.identity_id OFFSET 0) i
           LEFT JOIN LATERAL (SELECT id, action, status FROM contact_rules
                              WHERE organization_id = $1 AND agent_identity_id = t.identity_id
                                AND match_target = t.remote_number OFFSET 0) r ON true
           LEFT JOIN LATERAL (SELECT id FROM conversations
                              WHERE organization_id = $1 AND agent_identity_id = t.identity_id
                                AND remote_number = t.remote_number OFFSET 0) c ON true
           LEFT JOIN LATERAL (SELECT id, conversation_id, assignment_id FROM messages
                              WHERE organization_id = $1 AND line_number = t.line_number
                                AND provider_message_id = t.provider_message_id OFFSET 0) m ON true"#,
        organization_id.as_str(),
        &identities,
        &humans as &[&str],
        &lines as &[&str],
        &provider_ids as &[&str],
    )
    .fetch_all(connection)
    .await?;
    // Identities are never deleted, and the route of a message names one, so that each key has a row.
    let mut contexts: Outputs<DeliveryContextBatch> =
        keys.iter().map(|_| Err(sqlx::Error::RowNotFound.into())).collect();
    for row in rows {
        let index = key_index(row.number, keys.len()).and_then(|index| contexts.get_mut(index));
        let corrupt = StoreError::Corrupt { table: "identities", column: "number", id: row.id };
        *index.ok_or(corrupt)? = row.context();
    }
    Ok(contexts)
}

struct Row {
    /// The number of the key, from 1.
    number: i64,
    id: Uuid,
    imessage_enabled: bool,
    filter_mode: i16,
    rule_id: Option<Uuid>,
    rule_action: Option<i16>,
    rule_status: Option<i16>,
    conversation_id: Option<Uuid>,
    message_id: Option<Uuid>,
    message_conversation_id: Option<Uuid>,
    message_assignment_id: Option<Uuid>,
}

impl Row {
    fn context(&self) -> Result<DeliveryContext, StoreError> {
        let rule = rule_on_number(self.rule_id, self.rule_action, self.rule_status)?;
        let delivered = match (self.message_id, self.message_conversation_id, self.message_assignment_id) {
            (Some(message_id), Some(conversation_id), Some(connection_id)) => Some(StoredMessage {
                message_id: message_id.into(),
                conversation_id: conversation_id.into(),
                connection_id: connection_id.into(),
            }),
            _ => None,
        };
        Ok(DeliveryContext {
            imessage_enabled: self.imessage_enabled,
            verdict: verdict(filter_mode(self.filter_mode, self.id)?, rule),
            conversation_id: self.conversation_id.map(Into::into),
            delivered,
        })
    }
}
