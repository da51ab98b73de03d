//! Contact rules: which numbers may reach an identity.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::newest_first::{convert, newest_first};
use super::{Affects, Created, Database, DbConnection, StoreError};
use crate::domain::{
    AuditedChange, ContactRule, IdentityId, OrganizationId, Page, PageRequest, RuleAction, RuleId,
    RuleOnNumber, RuleStatus,
};
use crate::error::{Error, Resource};

/// The foreign key of a rule to its identity.
const IDENTITY_CONSTRAINT: &str = "contact_rules_identity";

struct Row {
    id: Uuid,
    agent_identity_id: Uuid,
    action: i16,
    match_target: String,
    status: i16,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for ContactRule {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let on_number = rule_on_number(Some(row.id), Some(row.action), Some(row.status))?;
        let corrupt = StoreError::Corrupt { table: "contact_rules", column: "action", id: row.id };
        let RuleOnNumber { id, action, status } = on_number.ok_or(corrupt)?;
        Ok(Self {
            id,
            agent_identity_id: row.agent_identity_id.into(),
            action,
            match_target: row.match_target.into(),
            status,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The rule of an identity for a number, from the columns of an outer join; `None` if the join found no rule.
pub(super) fn rule_on_number(
    id: Option<Uuid>,
    action: Option<i16>,
    status: Option<i16>,
) -> Result<Option<RuleOnNumber>, StoreError> {
    let (Some(id), Some(action), Some(status)) = (id, action, status) else { return Ok(None) };
    let corrupt = |column| StoreError::Corrupt { table: "contact_rules", column, id };
    Ok(Some(RuleOnNumber {
        id: id.into(),
        action: RuleAction::from_number(action).ok_or_else(|| corrupt("action"))?,
        status: RuleStatus::from_number(status).ok_or_else(|| corrupt("status"))?,
    }))
}

/// Inserts a rule, which takes effect immediately. Conflicts with any rule of the identity for the same
/// number, whatever its action and status.
pub async fn create(
    db: &Database,
    organization_id: &OrganizationId,
    rule: ContactRule,
) -> Result<Created<ContactRule>, StoreError> {
    let owner = organization_id.clone();
    let affects = Affects::organization(organization_id);
    // One transaction, because the audit log must agree.
    let created = db.transaction(affects, "transaction contact_rules::create", move |connection| {
        let (organization_id, rule) = (owner.clone(), rule.clone());
        Box::pin(async move {
            if !insert(connection, &organization_id, &rule).await? {
                let existing_id = rule_for_number(connection, &organization_id, &rule).await?;
                return Ok(Created::Conflict { existing_id });
            }
            connection.audit(audited(&organization_id, "contact_rule.create", &rule))?;
            Ok(Created::New(rule))
        })
    });
    match created.await {
        // The identity was deleted since it was found.
        Err(failure) if failure.violates(IDENTITY_CONSTRAINT) => {
            Err(Error::NotFound(Resource::Identity).into())
        }
        created => created,
    }
}

/// Returns false if the identity has a rule for the number.
async fn insert(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    rule: &ContactRule,
) -> Result<bool, StoreError> {
    let done = query!(
        "INSERT INTO contact_rules (organization_id, id, agent_identity_id, action, match_target, status,
                                    created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (organization_id, agent_identity_id, match_target) DO NOTHING",
        organization_id.as_str(),
        rule.id.uuid(),
        rule.agent_identity_id.uuid(),
        rule.action.number(),
        rule.match_target.as_str(),
        rule.status.number(),
        rule.created_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn rule_for_number(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    rule: &ContactRule,
) -> Result<Option<Uuid>, StoreError> {
    let row = query!(
        "SELECT id FROM contact_rules
         WHERE organization_id = $1 AND agent_identity_id = $2 AND match_target = $3",
        organization_id.as_str(),
        rule.agent_identity_id.uuid(),
        rule.match_target.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.id))
}

/// Without the number, which is a human's.
fn audited(organization_id: &OrganizationId, action: &'static str, rule: &ContactRule) -> AuditedChange {
    let effect = match rule.action {
        RuleAction::Allow => "allow",
        RuleAction::Block => "block",
    };
    let status = match rule.status {
        RuleStatus::Active => "active",
        RuleStatus::Paused => "paused",
    };
    let identity = rule.agent_identity_id;
    let detail = format!("action={effect} status={status} identity={identity}");
    AuditedChange::of(organization_id, action, &rule.id, detail)
}

/// A rule by id, optionally only if it belongs to one identity.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    id: RuleId,
) -> Result<Option<ContactRule>, StoreError> {
    let identity_id = identity_id.map(IdentityId::uuid);
    let mut session = db.read(organization_id).await?;
    session
        .find("query contact_rules::get", |connection| async move {
            query_as!(
                Row,
                "SELECT id, agent_identity_id, action, match_target, status, created_at, updated_at
                 FROM contact_rules
                 WHERE organization_id = $1 AND id = $2 AND ($3::uuid IS NULL OR agent_identity_id = $3)",
                organization_id.as_str(),
                id.uuid(),
                identity_id,
            )
            .fetch_optional(connection)
            .await?
            .map(ContactRule::try_from)
            .transpose()
        })
        .await
}

/// A page of the rules of an organization, optionally of one identity, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    page: &PageRequest,
) -> Result<Page<ContactRule>, StoreError> {
    let mut session = db.read(organization_id).await?;
    let rows = session
        .run("query contact_rules::list", |connection| async move {
            match identity_id {
                None => newest_first!(
                    Row,
                    connection,
                    organization_id,
                    page,
                    "SELECT id, agent_identity_id, action, match_target, status, created_at, updated_at
                     FROM contact_rules
                     WHERE organization_id = $1",
                    offset
                ),
                Some(identity_id) => newest_first!(
                    Row,
                    connection,
                    organization_id,
                    page,
                    "SELECT id, agent_identity_id, action, match_target, status, created_at, updated_at
                     FROM contact_rules
                     WHERE organization_id = $1 AND agent_identity_id = $6",
                    offset,
                    identity_id.uuid()
                ),
            }
        })
        .await?;
    convert(rows, ContactRule::try_from)
}

/// Updates action and status of a rule (`None` keeps a value) and returns the updated rule; `None` if it does
/// not exist.
pub async fn update(
    db: &Database,
    organization_id: &OrganizationId,
    id: RuleId,
    action: Option<RuleAction>,
    status: Option<RuleStatus>,
    now: DateTime<Utc>,
) -> Result<Option<ContactRule>, StoreError> {
    let owner = organization_id.clone();
    let affects = Affects::organization(organization_id);
    // One transaction, because the audit log must agree.
    db.transaction(affects, "transaction contact_rules::update", move |connection| {
        let organization_id = owner.clone();
        Box::pin(async move {
            let row = query_as!(
                Row,
                "UPDATE contact_rules
                 SET action = coalesce($3, action), status = coalesce($4, status),
                     updated_at = greatest(updated_at, $5)
                 WHERE organization_id = $1 AND id = $2
                 RETURNING id, agent_identity_id, action, match_target, status, created_at, updated_at",
                organization_id.as_str(),
                id.uuid(),
                action.map(RuleAction::number),
                status.map(RuleStatus::number),
                now,
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let rule = ContactRule::try_from(row)?;
            connection.audit(audited(&organization_id, "contact_rule.update", &rule))?;
            Ok(Some(rule))
        })
    })
    .await
}

/// Deletes a rule, so that the number can have a new one, and returns it; `None` if it does not exist.
pub async fn delete(
    db: &Database,
    organization_id: &OrganizationId,
    id: RuleId,
) -> Result<Option<ContactRule>, StoreError> {
    let owner = organization_id.clone();
    let affects = Affects::organization(organization_id);
    // One transaction, because the audit log must agree.
    db.transaction(affects, "transaction contact_rules::delete", move |connection| {
        let organization_id = owner.clone();
        Box::pin(async move {
            let row = query_as!(
                Row,
                "DELETE FROM contact_rules WHERE organization_id = $1 AND id = $2
                 RETURNING id, agent_identity_id, action, match_target, status, created_at, updated_at",
                organization_id.as_str(),
                id.uuid(),
            )
            .fetch_optional(&mut *connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let rule = ContactRule::try_from(row)?;
            connection.audit(audited(&organization_id, "contact_rule.delete", &rule))?;
            Ok(Some(rule))
        })
    })
    .await
}
