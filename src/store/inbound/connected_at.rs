//! When a connection began.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::Destination;
use crate::store::{Affects, Database, StoreError};

/// When the connection began; `None` if it is deleted.
pub async fn connected_at(db: &Database, to: &Destination) -> Result<Option<DateTime<Utc>>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query inbound::connected_at::connected_at", |connection| async move {
            let row = query!(
                "SELECT created_at FROM connections WHERE organization_id = $1 AND id = $2",
                to.organization_id.as_str(),
                to.connection_id.uuid(),
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.created_at))
        })
        .await
}
