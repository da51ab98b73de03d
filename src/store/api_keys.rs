//! API keys as people see them. The lookup by secret is in `key_digests`.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::newest_first::{convert, newest_first};
use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{
    ApiKey, ApiKeyId, ApiKeyScope, AuditedChange, IdentityId, KeyDigest, OrganizationId, Page, PageRequest,
};
use crate::error::{Error, Resource};

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

/// Inserts a key. Its secret works on every replica as soon as this is committed.
pub async fn create(db: &Database, key: ApiKey, digest: KeyDigest) -> Result<(), StoreError> {
    // One transaction, because the global digest must agree with the key that people see.
    db.transaction(Affects::named(), "transaction api_keys::create", move |connection| {
        let key = key.clone();
        Box::pin(async move {
            insert_digest(connection, &key, digest).await?;
            connection.audit(audited("api_key.create", &key))?;
            match &key.organization_id {
                Some(organization_id) => {
                    connection.mark_affected(organization_id);
                    insert_organization_key(connection, organization_id, &key).await
                }
                None => insert_router_key(connection, &key).await,
            }
        })
    })
    .await
}

async fn insert_digest(
    connection: &mut DbConnection,
    key: &ApiKey,
    digest: KeyDigest,
) -> Result<(), StoreError> {
    query!(
        "INSERT INTO key_digests (digest, api_key_id, scope, organization_id, agent_identity_id, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &digest.0[..],
        key.id.uuid(),
        key.scope.number(),
        key.organization_id.as_ref().map(OrganizationId::as_str),
        key.agent_identity_id.map(IdentityId::uuid),
        key.expires_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_organization_key(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    key: &ApiKey,
) -> Result<(), StoreError> {
    if let Some(identity_id) = key.agent_identity_id {
        // A deletion of the identity waits for this key, and revokes it, or this key finds no identity.
        let identity = query!(
            "SELECT id FROM identities WHERE organization_id = $1 AND id = $2 FOR SHARE",
            organization_id.as_str(),
            identity_id.uuid(),
        )
        .fetch_optional(&mut *connection)
        .await?;
        if identity.is_none() {
            return Err(Error::NotFound(Resource::Identity).into());
        }
    }
    query!(
        "INSERT INTO api_keys (organization_id, id, scope, agent_identity_id, label, display_prefix,
                               created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        organization_id.as_str(),
        key.id.uuid(),
        key.scope.number(),
        key.agent_identity_id.map(IdentityId::uuid),
        key.label,
        key.display_prefix,
        key.created_at,
        key.expires_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_router_key(connection: &mut DbConnection, key: &ApiKey) -> Result<(), StoreError> {
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
    Ok(())
}

/// A key of an organization by id.
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

/// A router key by id.
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

/// A page of the keys of an organization, including revoked ones, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    page: &PageRequest,
) -> Result<Page<ApiKey>, StoreError> {
    let mut session = db.read(organization_id).await?;
    let rows = session
        .run("query api_keys::list", |connection| async move {
            newest_first!(
                Row,
                connection,
                organization_id,
                page,
                r#"SELECT organization_id AS "organization_id?", id, scope, agent_identity_id, label, display_prefix,
                          created_at, expires_at, revoked_at, last_used_at
                   FROM api_keys
                   WHERE organization_id = $1"#
            )
        })
        .await?;
    convert(rows, ApiKey::try_from)
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

/// A key that works, of any organization or of the router. For the command line, where operators name no organization.
pub async fn find_working(db: &Database, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    let owner =
        session.run("query api_keys::owner", |connection| owner_of_working_key(connection, id)).await?;
    // Its session is free again for the next query.
    drop(session);
    match owner {
        None => Ok(None),
        Some(None) => get_router_key(db, id).await,
        Some(Some(organization_id)) => get(db, &organization_id, id).await,
    }
}

/// Which keys a caller of [`revoke`] may revoke.
#[derive(Debug, Clone)]
pub enum KeyOwner {
    /// Keys of this organization.
    Organization(OrganizationId),
    /// Every key that works, of any organization or of the router. For the command line, where operators name
    /// no organization.
    Anyone,
}

/// Revokes a key and returns it; `None` if the owner has no such key. Idempotent: a second call returns the
/// key with its first `revoked_at`.
pub async fn revoke(
    db: &Database,
    owner: KeyOwner,
    id: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<Option<ApiKey>, StoreError> {
    // One transaction for three tables: the key records the time, the digest is deleted, and the epoch
    // invalidates the key caches of all replicas.
    db.transaction(Affects::named(), "transaction api_keys::revoke", move |connection| {
        let owner = owner.clone();
        Box::pin(async move {
            let organization_id = match owner {
                KeyOwner::Organization(organization_id) => Some(organization_id),
                KeyOwner::Anyone => match owner_of_working_key(connection, id).await? {
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
                query!("UPDATE key_epoch SET epoch = epoch + 1 WHERE singleton")
                    .execute(&mut *connection)
                    .await?;
                connection.audit(audited("api_key.revoke", &key))?;
            }
            Ok(Some(key))
        })
    })
    .await
}

fn audited(action: &'static str, key: &ApiKey) -> AuditedChange {
    let scope = match key.scope {
        ApiKeyScope::Admin => "scope=admin".to_owned(),
        ApiKeyScope::Router => "scope=router".to_owned(),
        ApiKeyScope::Identity => {
            let identity = key.agent_identity_id.map(|id| format!(" identity={id}")).unwrap_or_default();
            format!("scope=identity{identity}")
        }
    };
    AuditedChange {
        organization_id: key.organization_id.clone(),
        action,
        subject: key.id.to_string(),
        detail: scope,
    }
}

/// The organization of a key that works; `Some(None)` for a router key, `None` if no such key works.
async fn owner_of_working_key(
    connection: &mut DbConnection,
    id: ApiKeyId,
) -> Result<Option<Option<OrganizationId>>, StoreError> {
    let row = query!("SELECT organization_id FROM key_digests WHERE api_key_id = $1", id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.organization_id.map(Into::into)))
}

/// Sets `revoked_at` of a key of the organization, or of a router key without an organization.
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
