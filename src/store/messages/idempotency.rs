//! Idempotency keys of sends.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::{IdentityId, MessageId, OrganizationId};
use crate::store::{Affects, Database, StoreError};

/// The first request that used an idempotency key.
#[derive(Debug, Clone)]
pub struct IdempotencyRecord {
    /// SHA-256 of the request.
    pub request_digest: [u8; 32],
    pub message_id: MessageId,
    pub created_at: DateTime<Utc>,
    /// Whether the result of the send is recorded.
    pub finished: bool,
}

/// The first request of an identity with this key.
pub async fn find_idempotency_record(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    key: &str,
) -> Result<Option<IdempotencyRecord>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::idempotency::first_request", |connection| async move {
            let row = query!(
                "SELECT request_digest, message_id, created_at, finished FROM idempotency_keys
                 WHERE organization_id = $1 AND agent_identity_id = $2 AND key = $3",
                organization_id.as_str(),
                identity_id.uuid(),
                key,
            )
            .fetch_optional(connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let corrupt = StoreError::Corrupt {
                table: "idempotency_keys",
                column: "request_digest",
                id: row.message_id,
            };
            Ok(Some(IdempotencyRecord {
                request_digest: row.request_digest.try_into().map_err(|_| corrupt)?,
                message_id: row.message_id.into(),
                created_at: row.created_at,
                finished: row.finished,
            }))
        })
        .await
}

/// Frees a key for a new request, unless another one has used it since.
pub async fn free_idempotency_key(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    key: &str,
    message_id: MessageId,
) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::idempotency::free_idempotency_key", |connection| async move {
            query!(
                "DELETE FROM idempotency_keys
                 WHERE organization_id = $1 AND agent_identity_id = $2 AND key = $3 AND message_id = $4",
                organization_id.as_str(),
                identity_id.uuid(),
                key,
                message_id.uuid(),
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
}
