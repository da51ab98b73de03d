//! What decides what becomes of a text, once its organization is known.

use futures_util::future::BoxFuture;
use sqlx::query_as;
use uuid::Uuid;

use super::{Destination, Stored};
use crate::domain::{ConversationId, IdentityId, OrganizationId, PhoneNumber, Verdict, verdict};
use crate::store::contact_rules::rule_on_number;
use crate::store::gathered::{Answers, Shared};
use crate::store::identities::filter_mode;
use crate::store::session::traced;
use crate::store::{Database, DbConnection, StoreError};

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
) -> Result<Situation, StoreError> {
    let text = TextTo {
        identity_id: to.identity_id,
        remote_number: remote_number.clone(),
        line_number: line_number.clone(),
        provider_message_id: provider_message_id.to_owned(),
    };
    let asking = db.shared.situations.ask(db, to.organization_id.clone(), text);
    traced("query inbound::situation::situation", asking).await
}

/// Situations of texts to an organization.
pub(in crate::store) struct SituationOfText;

/// What a situation is that of.
pub(in crate::store) struct TextTo {
    identity_id: IdentityId,
    remote_number: PhoneNumber,
    line_number: PhoneNumber,
    provider_message_id: String,
}

impl Shared for SituationOfText {
    type Group = OrganizationId;
    type Item = TextTo;
    type Answer = Situation;

    fn run<'a>(
        link: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        texts: &'a [TextTo],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>> {
        Box::pin(situations(link, organization_id, texts))
    }
}

/// `OFFSET 0` has everything looked up for each text, whatever number of them PostgreSQL plans for.
async fn situations(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    texts: &[TextTo],
) -> Result<Answers<SituationOfText>, StoreError> {
    let identities: Vec<Uuid> = texts.iter().map(|text| text.identity_id.uuid()).collect();
    let humans: Vec<&str> = texts.iter().map(|text| text.remote_number.as_str()).collect();
    let lines: Vec<&str> = texts.iter().map(|text| text.line_number.as_str()).collect();
    let provider_ids: Vec<&str> = texts.iter().map(|text| text.provider_message_id.as_str()).collect();
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
    .fetch_all(link)
    .await?;
    let found =
        |number: usize| rows.iter().find(|row| usize::try_from(row.number).is_ok_and(|it| it == number + 1));
    // An identity is never deleted, and the route of a text names one.
    Ok((0..texts.len()).map(|number| found(number).ok_or(sqlx::Error::RowNotFound)?.situation()).collect())
}

struct Row {
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
    fn situation(&self) -> Result<Situation, StoreError> {
        let rule = rule_on_number(self.rule_id, self.rule_action, self.rule_status)?;
        let delivered = match (self.message_id, self.message_conversation_id, self.message_assignment_id) {
            (Some(message_id), Some(conversation_id), Some(connection_id)) => Some(Stored {
                message_id: message_id.into(),
                conversation_id: conversation_id.into(),
                connection_id: connection_id.into(),
            }),
            _ => None,
        };
        Ok(Situation {
            imessage_enabled: self.imessage_enabled,
            verdict: verdict(filter_mode(self.filter_mode, self.id)?, rule),
            conversation_id: self.conversation_id.map(Into::into),
            delivered,
        })
    }
}
