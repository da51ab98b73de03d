//! One conversation.

use futures_util::future::BoxFuture;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::columns::ConversationColumns;
use crate::domain::{Conversation, ConversationId, IdentityId, OrganizationId};
use crate::store::pool::batch::{BatchQuery, Outputs};
use crate::store::{Affects, Database, DbConnection, StoreError};

/// One conversation of an organization; of one identity, if one is named.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    id: ConversationId,
) -> Result<Option<Conversation>, StoreError> {
    db.load::<ConversationBatch>((organization_id.clone(), identity_id), id).await
}

struct ConversationBatch;

impl BatchQuery for ConversationBatch {
    type Scope = (OrganizationId, Option<IdentityId>);
    type Key = ConversationId;
    type Output = Option<Conversation>;

    const SPAN: &'static str = "query conversations::get::get";

    fn reads_for((organization_id, _): &Self::Scope) -> Option<&OrganizationId> {
        Some(organization_id)
    }

    fn is_found(conversation: &Self::Output) -> bool {
        conversation.is_some()
    }

    fn run<'a>(
        connection: &'a mut DbConnection,
        scope: &'a Self::Scope,
        ids: &'a [ConversationId],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(by_id(connection, scope, ids))
    }
}

async fn by_id(
    connection: &mut DbConnection,
    (organization_id, identity_id): &(OrganizationId, Option<IdentityId>),
    ids: &[ConversationId],
) -> Result<Outputs<ConversationBatch>, StoreError> {
    let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = query_as!(
        ConversationColumns,
        "SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at, updated_at,
                opted_out_at
         FROM conversations
         WHERE organization_id = $1 AND id = ANY($2) AND ($3::uuid IS NULL OR agent_identity_id = $3)",
        organization_id.as_str(),
        &uuids,
        identity_id.map(IdentityId::uuid),
    )
    .fetch_all(connection)
    .await?;
    let found: Vec<Conversation> = rows.into_iter().map(Into::into).collect();
    // A batch has at most 64 ids, so that a search per id costs less than a map.
    Ok(ids.iter().map(|id| Ok(found.iter().find(|found| found.id == *id).cloned())).collect())
}

/// Whether an organization has this conversation.
pub async fn exists(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConversationId,
) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session.run("query conversations::get::exists", |connection| async move {
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
