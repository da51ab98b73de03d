//! Contact rules.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::{Affects, Database, StoreError};
use crate::domain::{
    ContactRule, IdentityId, OrganizationId, Page, PageRequest, Position, RuleAction, RuleId, RuleOnNumber,
    RuleStatus,
};
use crate::error::{Error, Resource};

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

/// Reads the rule that an outer join found for a number, if it found one.
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

/// Makes a rule, active at once.
///
/// # Errors
/// `AlreadyExists` when the identity has a rule for the number, whatever it does.
pub async fn create(
    db: &Database,
    organization_id: &OrganizationId,
    rule: ContactRule,
) -> Result<ContactRule, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    let made = session.run("query contact_rules::create", |connection| {
            let rule = &rule;
            async move {
                let made = query!(
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
                Ok(made.rows_affected() == 1)
            }
        })
        .await?;
    if made {
        return Ok(rule);
    }
    let holder = session
        .run("query contact_rules::create", |connection| async move {
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
        })
        .await?;
    Err(Error::AlreadyExists { resource: Resource::ContactRule, existing_id: holder }.into())
}

/// One rule of an organization, of one identity where one is named.
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

/// The rules of an organization, of one identity where one is named, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    page: &PageRequest,
) -> Result<Page<ContactRule>, StoreError> {
    let after = page.after();
    let mut session = db.read(organization_id).await?;
    let rows: Vec<ContactRule> = session
        .run("query contact_rules::list", |connection| async move {
            let rows = match identity_id {
                None => {
                    query_as!(
                        Row,
                        "SELECT id, agent_identity_id, action, match_target, status, created_at, updated_at
                         FROM contact_rules
                         WHERE organization_id = $1 AND (created_at, id) < ($2, $3)
                         ORDER BY created_at DESC, id DESC
                         LIMIT $4 OFFSET $5",
                        organization_id.as_str(),
                        after.at,
                        after.id,
                        page.rows_to_read(),
                        page.offset(),
                    )
                    .fetch_all(connection)
                    .await?
                }
                Some(identity_id) => {
                    query_as!(
                        Row,
                        "SELECT id, agent_identity_id, action, match_target, status, created_at, updated_at
                         FROM contact_rules
                         WHERE organization_id = $1 AND agent_identity_id = $6 AND (created_at, id) < ($2, $3)
                         ORDER BY created_at DESC, id DESC
                         LIMIT $4 OFFSET $5",
                        organization_id.as_str(),
                        after.at,
                        after.id,
                        page.rows_to_read(),
                        page.offset(),
                        identity_id.uuid(),
                    )
                    .fetch_all(connection)
                    .await?
                }
            };
            rows.into_iter().map(ContactRule::try_from).collect()
        })
        .await?;
    Ok(Page::cut(rows, page.limit, |row| Position { at: row.created_at, id: row.id.uuid() }))
}

/// Changes a rule and returns it as it is then; `None` when there is no such rule.
pub async fn update(
    db: &Database,
    organization_id: &OrganizationId,
    id: RuleId,
    action: Option<RuleAction>,
    status: Option<RuleStatus>,
    now: DateTime<Utc>,
) -> Result<Option<ContactRule>, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query contact_rules::update", |connection| async move {
            query_as!(
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
            .fetch_optional(connection)
            .await?
            .map(ContactRule::try_from)
            .transpose()
        })
        .await
}

/// Deletes a rule and frees its number; false when there is no such rule.
pub async fn delete(db: &Database, organization_id: &OrganizationId, id: RuleId) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query contact_rules::delete", |connection| async move {
            let done = query!(
                "DELETE FROM contact_rules WHERE organization_id = $1 AND id = $2",
                organization_id.as_str(),
                id.uuid(),
            )
            .execute(connection)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
}
