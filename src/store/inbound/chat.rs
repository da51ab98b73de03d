//! The chat in which a human writes.

use sqlx::query;

use crate::domain::{ConnectionId, OrganizationId};
use crate::store::{Affects, Database, StoreError};

/// Records the carrier's id of the chat of a connection, which later calls on the human's phone name.
pub async fn set_chat(
    db: &Database,
    organization_id: &OrganizationId,
    connection_id: ConnectionId,
    chat: &str,
) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query inbound::chat::set_chat", |connection| async move {
            query!(
                "UPDATE connections SET carrier_chat = $3
                 WHERE organization_id = $1 AND id = $2 AND carrier_chat IS DISTINCT FROM $3",
                organization_id.as_str(),
                connection_id.uuid(),
                chat,
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
}
