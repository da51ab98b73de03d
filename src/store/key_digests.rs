//! The lookup of API keys by the digest of their secret, and the epoch that invalidates the key caches of all
//! replicas.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::pool::batch::{BatchQuery, Outputs};
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

/// Who asks for a key. The two do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asker {
    /// Presents a key that was valid a moment ago.
    Known,
    /// Presents a key that may not exist.
    Unknown,
}

/// The key with this digest; `None` if there is none or it was revoked.
pub async fn find(db: &Database, asker: Asker, digest: KeyDigest) -> Result<Option<KnownKey>, StoreError> {
    db.load::<KeyLookup>(asker, digest).await
}

struct KeyLookup;

impl BatchQuery for KeyLookup {
    type Scope = Asker;
    type Key = KeyDigest;
    type Output = Option<KnownKey>;

    const SPAN: &'static str = "query key_digests::find";

    fn affects(_: &Asker) -> Affects {
        Affects::None
    }

    fn run<'a>(
        connection: &'a mut DbConnection,
        _: &'a Asker,
        digests: &'a [KeyDigest],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(by_digest(connection, digests))
    }
}

async fn by_digest(
    connection: &mut DbConnection,
    digests: &[KeyDigest],
) -> Result<Outputs<KeyLookup>, StoreError> {
    let wanted: Vec<Vec<u8>> = digests.iter().map(|digest| digest.0.to_vec()).collect();
    let rows = query_as!(
        Row,
        "SELECT digest, api_key_id, scope, organization_id, agent_identity_id, expires_at
         FROM key_digests
         WHERE digest = ANY($1)",
        &wanted,
    )
    .fetch_all(connection)
    .await?;
    let found = |digest: &KeyDigest| rows.iter().find(|row| row.digest == digest.0);
    Ok(digests.iter().map(|digest| found(digest).map(Row::key).transpose()).collect())
}

struct Row {
    digest: Vec<u8>,
    api_key_id: Uuid,
    scope: i16,
    organization_id: Option<String>,
    agent_identity_id: Option<Uuid>,
    expires_at: Option<DateTime<Utc>>,
}

impl Row {
    fn key(&self) -> Result<KnownKey, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "key_digests", column, id: self.api_key_id };
        let key_id = ApiKeyId::from(self.api_key_id);
        let principal = match ApiKeyScope::from_number(self.scope).ok_or_else(|| corrupt("scope"))? {
            ApiKeyScope::Router => Principal::Router { key_id },
            ApiKeyScope::Admin | ApiKeyScope::Identity => Principal::Tenant(Tenant {
                key_id,
                organization_id: self
                    .organization_id
                    .as_deref()
                    .ok_or_else(|| corrupt("organization_id"))?
                    .into(),
                identity_id: self.agent_identity_id.map(Into::into),
            }),
        };
        Ok(KnownKey { principal, expires_at: self.expires_at })
    }
}

/// The number of revocations so far, and the database's time. The database monitor polls them twice a second on a separate
/// connection, and detects an unavailable database at the same time.
pub async fn epoch(connection: &mut DbConnection) -> Result<(i64, DateTime<Utc>), StoreError> {
    let row = query!(r#"SELECT epoch, clock_timestamp() AS "now!" FROM key_epoch WHERE singleton"#)
        .fetch_one(connection)
        .await?;
    Ok((row.epoch, row.now))
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
