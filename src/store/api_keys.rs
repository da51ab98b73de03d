//! API keys, as people know them. What a secret means is in `key_digests`.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{ApiKey, ApiKeyId, ApiKeyScope, KeyDigest, OrganizationId, Page, PageRequest, Position};

struct Row {
    organization_id: Option<String>,
    id: Uuid,
    scope: i16,
    agent_identity_id: Option<Uuid>,
    label: String,
    display_prefix: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = StoreError::Corrupt { table: "api_keys", column: "scope", id: row.id };
        Ok(Self {
            id: row.id.into(),
            organization_id: row.organization_id.map(Into::into),
            scope: ApiKeyScope::from_number(row.scope).ok_or(corrupt)?,
            agent_identity_id: row.agent_identity_id.map(Into::into),
            label: row.label,
            display_prefix: row.display_prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}

/// Stores a fresh key. From the commit on its secret works on every replica.
pub async fn create(db: &Database, key: ApiKey, digest: KeyDigest) -> Result<(), StoreError> {
    // Two tables must agree: the digest, which is global, and what people may know, which is its organization's.
    db.transaction(Affects::named(), "transaction api_keys::create", move |connection| {
        let key = key.clone();
        Box::pin(async move {
            if let Some(organization_id) = &key.organization_id {
                connection.mark_affected(organization_id);
            }
            let organization_id = key.organization_id.as_ref().map(OrganizationId::as_str);
            let identity_id = key.agent_identity_id.map(crate::domain::IdentityId::uuid);
            query!(
                "INSERT INTO key_digests (digest, api_key_id, scope, organization_id, agent_identity_id, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &digest.0[..],
                key.id.uuid(),
                key.scope.number(),
                organization_id,
                identity_id,
                key.expires_at,
            )
            .execute(&mut *connection)
            .await?;
            if let Some(organization_id) = organization_id {
                query!(
                    "INSERT INTO api_keys (organization_id, id, scope, agent_identity_id, label, display_prefix,
                                           created_at, expires_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    organization_id,
                    key.id.uuid(),
                    key.scope.number(),
                    identity_id,
                    key.label,
                    key.display_prefix,
                    key.created_at,
                    key.expires_at,
                )
                .execute(connection)
                .await?;
            } else {
                query!(
                    "INSERT INTO router_keys (id, label, display_prefix, created_at, expires_at)
                     VALUES ($1, $2, $3, $4, $5)",
                    key.id.uuid(),
                    key.label,
                    key.display_prefix,
                    key.created_at,
                    key.expires_at,
                )
                .execute(connection)
                .await?;
            }
            Ok(())
        })
    })
    .await
}

/// One key of an organization.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session.run("query api_keys::get", |connection| async move {
        query_as!(
            Row,
            r#"SELECT organization_id AS "organization_id?", id, scope, agent_identity_id, label, display_prefix,
                      created_at, expires_at, revoked_at, last_used_at
               FROM api_keys
               WHERE organization_id = $1 AND id = $2"#,
            organization_id.as_str(),
            id.uuid(),
        )
        .fetch_optional(connection)
        .await?
        .map(ApiKey::try_from)
        .transpose()
    })
    .await
}

/// One router key.
pub async fn get_router_key(db: &Database, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session.run("query api_keys::get_router_key", |connection| async move {
        query_as!(
            Row,
            r#"SELECT NULL::text AS "organization_id?", id, 3::smallint AS "scope!", NULL::uuid AS "agent_identity_id?",
                      label, display_prefix, created_at, expires_at, revoked_at, last_used_at
               FROM router_keys
               WHERE id = $1"#,
            id.uuid(),
        )
        .fetch_optional(connection)
        .await?
        .map(ApiKey::try_from)
        .transpose()
    })
    .await
}

/// The keys of an organization, revoked ones too, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    page: &PageRequest,
) -> Result<Page<ApiKey>, StoreError> {
    let after = page.after();
    let mut session = db.read(organization_id).await?;
    let rows = session.run("query api_keys::list", |connection| async move {
            query_as!(
                Row,
                r#"SELECT organization_id AS "organization_id?", id, scope, agent_identity_id, label, display_prefix,
                          created_at, expires_at, revoked_at, last_used_at
                   FROM api_keys
                   WHERE organization_id = $1 AND (created_at, id) < ($2, $3)
                   ORDER BY created_at DESC, id DESC
                   LIMIT $4"#,
                organization_id.as_str(),
                after.at,
                after.id,
                page.rows_to_read(),
            )
            .fetch_all(connection)
            .await?
            .into_iter()
            .map(ApiKey::try_from)
            .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    Ok(Page::cut(rows, page.limit, |key| Position { at: key.created_at, id: key.id.uuid() }))
}

/// The newest router keys.
pub async fn list_router_keys(db: &Database, page: &PageRequest) -> Result<Vec<ApiKey>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session.run("query api_keys::list_router_keys", |connection| async move {
            query_as!(
                Row,
                r#"SELECT NULL::text AS "organization_id?", id, 3::smallint AS "scope!", NULL::uuid AS "agent_identity_id?",
                          label, display_prefix, created_at, expires_at, revoked_at, last_used_at
                   FROM router_keys
                   ORDER BY id DESC
                   LIMIT $1"#,
                i64::from(page.limit),
            )
            .fetch_all(connection)
            .await?
            .into_iter()
            .map(ApiKey::try_from)
            .collect()
        })
        .await
}

/// Whose key is to be revoked.
#[derive(Debug, Clone)]
pub enum KeyOwner {
    /// A key of this organization.
    Organization(OrganizationId),
    /// Any key that works; for the operator's command line, which knows no organization and cannot find another one.
    Anyone,
}

/// Revokes a key and returns it as it is then; `None` when the owner has no such key. A second call changes nothing
/// and returns the key with its first `revoked_at`.
pub async fn revoke(
    db: &Database,
    owner: KeyOwner,
    id: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<Option<ApiKey>, StoreError> {
    // Three tables must agree: the digest goes, the key says when, and the epoch tells every replica.
    db.transaction(Affects::named(), "transaction api_keys::revoke", move |connection| {
        let owner = owner.clone();
        Box::pin(async move {
            let organization_id = match owner {
                KeyOwner::Organization(organization_id) => Some(organization_id),
                KeyOwner::Anyone => match owner_of_working(connection, id).await? {
                    Some(owner) => owner,
                    None => return Ok(None),
                },
            };
            let Some(key) = mark_revoked(connection, organization_id.as_ref(), id, now).await? else {
                return Ok(None);
            };
            let removed = query!("DELETE FROM key_digests WHERE api_key_id = $1", id.uuid())
                .execute(&mut *connection)
                .await?
                .rows_affected();
            if removed > 0 {
                query!("UPDATE key_epoch SET epoch = epoch + 1 WHERE singleton").execute(connection).await?;
            }
            Ok(Some(key))
        })
    })
    .await
}

/// The owner of a key that works: `None` when there is none, and an absent organization for a router key.
async fn owner_of_working(
    connection: &mut DbConnection,
    id: ApiKeyId,
) -> Result<Option<Option<OrganizationId>>, StoreError> {
    let row = query!("SELECT organization_id FROM key_digests WHERE api_key_id = $1", id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.organization_id.map(Into::into)))
}

/// Marks the key of this organization, or the router key when there is no organization.
async fn mark_revoked(
    connection: &mut DbConnection,
    organization_id: Option<&OrganizationId>,
    id: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<Option<ApiKey>, StoreError> {
    let row = match organization_id {
        Some(organization_id) => {
            connection.mark_affected(organization_id);
            query_as!(
                Row,
                r#"UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3)
                   WHERE organization_id = $1 AND id = $2
                   RETURNING organization_id AS "organization_id?", id, scope, agent_identity_id, label,
                             display_prefix, created_at, expires_at, revoked_at, last_used_at"#,
                organization_id.as_str(),
                id.uuid(),
                now,
            )
            .fetch_optional(connection)
            .await?
        }
        None => {
            query_as!(
                Row,
                r#"UPDATE router_keys SET revoked_at = coalesce(revoked_at, $2)
                   WHERE id = $1
                   RETURNING NULL::text AS "organization_id?", id, 3::smallint AS "scope!",
                             NULL::uuid AS "agent_identity_id?", label, display_prefix, created_at, expires_at,
                             revoked_at, last_used_at"#,
                id.uuid(),
                now,
            )
            .fetch_optional(connection)
            .await?
        }
    };
    row.map(ApiKey::try_from).transpose()
}
