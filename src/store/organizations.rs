//! Organizations (tenants), which operators create on the command line.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Affects, Database, StoreError};
use crate::domain::{AuditedChange, OrganizationId};

/// Inserts an organization. Returns false if it existed already.
pub async fn create(db: &Database, id: &OrganizationId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let id = id.clone();
    // One transaction, because the audit log must agree.
    db.transaction(Affects::None, "transaction organizations::create", move |connection| {
        let id = id.clone();
        Box::pin(async move {
            let done = query!(
                "INSERT INTO organizations (id, created_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
                id.as_str(),
                now,
            )
            .execute(&mut *connection)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            connection.audit(AuditedChange::of(&id, "organization.create", &id, ""))?;
            Ok(true)
        })
    })
    .await
}

/// All organizations with the times of their creation, in the order of their ids. For the command line.
pub async fn list(db: &Database) -> Result<Vec<(OrganizationId, DateTime<Utc>)>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query organizations::list", |connection| async move {
            let rows =
                query!("SELECT id, created_at FROM organizations ORDER BY id").fetch_all(connection).await?;
            Ok(rows.into_iter().map(|row| (row.id.into(), row.created_at)).collect())
        })
        .await
}

/// Whether an organization exists.
pub async fn exists(db: &Database, id: &OrganizationId) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query organizations::exists", |connection| async move {
            let row = query!(
                r#"SELECT EXISTS (SELECT 1 FROM organizations WHERE id = $1) AS "exists!""#,
                id.as_str()
            )
            .fetch_one(connection)
            .await?;
            Ok(row.exists)
        })
        .await
}
