//! The audit log: reading it, and deleting what is old. Entries are written by the transactions that make the changes: see
//! `DbConnection::audit`.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::retention::expiry::{BATCH_SIZE, Deleted};
use super::{Affects, Database, StoreError};
use crate::domain::{Actor, AuditedChange, OrganizationId};

/// A position in the log of an organization: that of an entry, or before all entries of a time.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Time of the entry.
    pub occurred_at: DateTime<Utc>,
    /// Id of the entry.
    pub id: Uuid,
}

impl Position {
    /// Before all entries of this time.
    #[must_use]
    pub const fn at(occurred_at: DateTime<Utc>) -> Self {
        Self { occurred_at, id: Uuid::nil() }
    }
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it is.
    pub position: Position,
    /// Who made the change.
    pub actor: Actor,
    /// What was done, such as `contact_rule.create`.
    pub action: String,
    /// Id of what was changed, or the number of a line.
    pub subject: String,
    /// What was set, for people.
    pub detail: String,
}

/// The next entries after a position, the oldest first; none at the end. Without an organization, those of lines and router
/// keys.
pub async fn list(
    db: &Database,
    organization_id: Option<&OrganizationId>,
    after: Position,
) -> Result<Vec<Entry>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query audit::list", |connection| async move {
            let rows = query!(
                "SELECT occurred_at, id, api_key_id, operator, action, subject, detail FROM audit_log
                 WHERE organization_id = $1 AND (occurred_at, id) > ($2, $3)
                 ORDER BY occurred_at, id
                 LIMIT $4",
                organization_id.map_or("", OrganizationId::as_str),
                after.occurred_at,
                after.id,
                BATCH_SIZE,
            )
            .fetch_all(connection)
            .await?;
            let entries = rows.into_iter().map(|row| Entry {
                position: Position { occurred_at: row.occurred_at, id: row.id },
                actor: match row.api_key_id {
                    Some(id) => Actor::Key(id.into()),
                    None => Actor::Operator(row.operator.unwrap_or_default()),
                },
                action: row.action,
                subject: row.subject,
                detail: row.detail,
            });
            Ok(entries.collect())
        })
        .await
}

/// Writes an entry about a change that takes several transactions, before the first of them: one that is interrupted is in
/// the log as well.
pub async fn record(db: &Database, change: AuditedChange) -> Result<(), StoreError> {
    db.transaction(Affects::None, "transaction audit::record", move |connection| {
        let change = change.clone();
        Box::pin(async move { connection.audit(change) })
    })
    .await
}

/// Deletes entries that were written before a point in time.
pub async fn delete_expired(
    db: &Database,
    organization_id: Option<&OrganizationId>,
    before: DateTime<Utc>,
) -> Result<Deleted, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query audit::delete_expired", |connection| async move {
            let done = query!(
                "DELETE FROM audit_log
                 WHERE organization_id = $1 AND (occurred_at, id) IN (
                     SELECT occurred_at, id FROM audit_log
                     WHERE organization_id = $1 AND occurred_at < $2
                     ORDER BY occurred_at, id
                     LIMIT $3)",
                organization_id.map_or("", OrganizationId::as_str),
                before,
                BATCH_SIZE,
            )
            .execute(connection)
            .await?;
            Ok(Deleted::of_batch(done.rows_affected()))
        })
        .await
}
