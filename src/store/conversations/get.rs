//! One conversation.

use futures_util::future::BoxFuture;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::Base;
use crate::domain::{Conversation, ConversationId, IdentityId, OrganizationId};
use crate::store::gathered::{Answers, Shared};
use crate::store::session::traced;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// One conversation of an organization, of one identity where one is named.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    id: ConversationId,
) -> Result<Option<Conversation>, StoreError> {
    let whose = (organization_id.clone(), identity_id);
    if db.has_standby() {
        // Boxed, as it would be the greater part of this future, which is moved some times before it runs.
        let found = Box::pin(async {
            let mut session = db.read(organization_id).await?;
            let found = session.find("query conversations::get::get", |link| async {
                let found = by_id(link, &whose, &[id]).await?;
                Ok(found.into_iter().next().flatten())
            });
            found.await
        });
        return found.await;
    }
    let asking = db.shared.conversations.ask(db, whose, id);
    traced("query conversations::get::get", asking).await
}

/// Conversations of an organization, of one identity where one is named, by id.
pub(in crate::store) struct ConversationById;

impl Shared for ConversationById {
    type Group = (OrganizationId, Option<IdentityId>);
    type Item = ConversationId;
    type Answer = Option<Conversation>;

    fn run<'a>(
        link: &'a mut DbConnection,
        whose: &'a Self::Group,
        ids: &'a [ConversationId],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>> {
        Box::pin(async move { Ok(by_id(link, whose, ids).await?.into_iter().map(Ok).collect()) })
    }
}

async fn by_id(
    link: &mut DbConnection,
    (organization_id, identity_id): &(OrganizationId, Option<IdentityId>),
    ids: &[ConversationId],
) -> Result<Vec<Option<Conversation>>, StoreError> {
    let asked: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = query_as!(
        Base,
        "SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at, updated_at
         FROM conversations
         WHERE organization_id = $1 AND id = ANY($2) AND ($3::uuid IS NULL OR agent_identity_id = $3)",
        organization_id.as_str(),
        &asked,
        identity_id.map(IdentityId::uuid),
    )
    .fetch_all(link)
    .await?;
    let found: Vec<Conversation> = rows.into_iter().map(Into::into).collect();
    Ok(ids.iter().map(|id| found.iter().find(|found| found.id == *id).cloned()).collect())
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
