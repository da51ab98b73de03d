//! One conversation.

use sqlx::{query, query_as};

use super::Base;
use crate::domain::{Conversation, ConversationId, IdentityId, OrganizationId};
use crate::store::{Database, Failure};

/// One conversation of an organization, of one identity where one is named.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    id: ConversationId,
) -> Result<Option<Conversation>, Failure> {
    let identity_id = identity_id.map(IdentityId::uuid);
    let mut reading = db.reading(organization_id).await?;
    reading.find(|connection| async move {
        let row = query_as!(
            Base,
            "SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at, updated_at
             FROM conversations
             WHERE organization_id = $1 AND id = $2 AND ($3::uuid IS NULL OR agent_identity_id = $3)",
            organization_id.as_str(),
            id.uuid(),
            identity_id,
        )
        .fetch_optional(connection)
        .await?;
        Ok(row.map(Into::into))
    })
    .await
}

/// Whether an organization has this conversation.
pub async fn exists(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConversationId,
) -> Result<bool, Failure> {
    let mut session = db.look_up().await?;
    session.run(|connection| async move {
        let row = query!(
            r#"SELECT EXISTS (SELECT 1 FROM conversations WHERE organization_id = $1 AND id = $2) AS "exists!""#,
            organization_id.as_str(),
            id.uuid(),
        )
        .fetch_one(connection)
        .await?;
        Ok(row.exists)
    })
    .await
}
