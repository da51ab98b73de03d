//! Idempotency keys: a send that is asked for twice happens once.

use chrono::{DateTime, Utc};
use sqlx::query;

use crate::domain::{IdentityId, MessageId, OrganizationId};
use crate::store::{Affects, Database, StoreError};

/// The request that used an idempotency key first.
#[derive(Debug, Clone)]
pub struct FirstRequest {
    /// SHA-256 of what it asked for.
    pub request_digest: [u8; 32],
    /// The message that it made.
    pub message_id: MessageId,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// Whether it has its answer.
    pub finished: bool,
}

/// Finds the first request of an identity with this key.
pub async fn first_request(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    key: &str,
) -> Result<Option<FirstRequest>, StoreError> {
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
            Ok(Some(FirstRequest {
                request_digest: row.request_digest.try_into().map_err(|_| corrupt)?,
                message_id: row.message_id.into(),
                created_at: row.created_at,
                finished: row.finished,
            }))
        })
        .await
}
