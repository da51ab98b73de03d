//! The lookup of API keys by the digest of their secret, and the epoch that invalidates the key caches of all
//! replicas.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{ApiKeyId, ApiKeyScope, KeyDigest, OrganizationId, Principal, Tenant};

/// A key that was not revoked, as authentication needs it.
#[derive(Debug, Clone)]
pub struct KnownKey {
    /// Who the caller is.
    pub principal: Principal,
    /// The key is rejected from this time on.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The key with this digest; `None` if there is none or it was revoked.
pub async fn find(db: &Database, digest: KeyDigest) -> Result<Option<KnownKey>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query key_digests::find", |connection| async move {
            let row = query!(
                "SELECT api_key_id, scope, organization_id, agent_identity_id, expires_at
                 FROM key_digests
                 WHERE digest = $1",
                &digest.0[..],
            )
            .fetch_optional(connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let corrupt = |column| StoreError::Corrupt { table: "key_digests", column, id: row.api_key_id };
            let key_id = ApiKeyId::from(row.api_key_id);
            let principal = match ApiKeyScope::from_number(row.scope).ok_or_else(|| corrupt("scope"))? {
                ApiKeyScope::Router => Principal::Router { key_id },
                ApiKeyScope::Admin | ApiKeyScope::Identity => Principal::Tenant(Tenant {
                    key_id,
                    organization_id: row.organization_id.ok_or_else(|| corrupt("organization_id"))?.into(),
                    identity_id: row.agent_identity_id.map(Into::into),
                }),
            };
            Ok(Some(KnownKey { principal, expires_at: row.expires_at }))
        })
        .await
}

/// The number of revocations so far. The database monitor polls it twice a second on a separate connection,
/// and detects an unavailable database at the same time.
pub async fn epoch(connection: &mut DbConnection) -> Result<i64, StoreError> {
    let row = query!("SELECT epoch FROM key_epoch WHERE singleton").fetch_one(connection).await?;
    Ok(row.epoch)
}

/// A use of a key.
#[derive(Debug, Clone)]
pub struct KeyUse {
    /// The key.
    pub key_id: ApiKeyId,
    /// The time, rounded to minutes.
    pub at: DateTime<Utc>,
}

/// Records uses of keys of one organization, or of router keys. `last_used_at` never moves backwards.
pub async fn record_uses(
    db: &Database,
    organization_id: Option<&OrganizationId>,
    uses: &[KeyUse],
) -> Result<(), StoreError> {
    let (ids, times): (Vec<Uuid>, Vec<DateTime<Utc>>) =
        uses.iter().map(|used| (used.key_id.uuid(), used.at)).unzip();
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query key_digests::record_uses", |connection| async move {
            match organization_id {
                Some(organization_id) => {
                    query!(
                        "UPDATE api_keys k SET last_used_at = used.at
                         FROM unnest($2::uuid[], $3::timestamptz[]) AS used (id, at)
                         WHERE k.organization_id = $1 AND k.id = used.id
                           AND (k.last_used_at IS NULL OR k.last_used_at < used.at)",
                        organization_id.as_str(),
                        &ids,
                        &times,
                    )
                    .execute(connection)
                    .await?
                }
                None => {
                    query!(
                        "UPDATE router_keys k SET last_used_at = used.at
                         FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
                         WHERE k.id = used.id AND (k.last_used_at IS NULL OR k.last_used_at < used.at)",
                        &ids,
                        &times,
                    )
                    .execute(connection)
                    .await?
                }
            };
            Ok(())
        })
        .await
}
