//! Writing the audit log: in the transaction that makes a change, if an actor was named with `Database::acting`.

use std::sync::Arc;

use rand::RngExt as _;
use sqlx::{Executor, Postgres, query};
use uuid::{Builder, Uuid};

use crate::domain::{Actor, ApiKeyId, AuditedChange, OrganizationId};

/// Writes changes, before the commit.
pub(super) async fn write<C>(connection: &mut C, actor: &Actor, changes: &[AuditedChange]) -> sqlx::Result<()>
where
    for<'c> &'c mut C: Executor<'c, Database = Postgres>,
{
    // Times and ids are parameters, since each node of a distributed database has its own answer to what is computed there.
    let clock = query!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut *connection).await?;
    let (key, operator) = columns(actor);
    for change in changes {
        query!(
            "INSERT INTO audit_log (organization_id, occurred_at, id, api_key_id, operator, action, subject, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            change.organization_id.as_ref().map_or("", OrganizationId::as_str),
            clock.now,
            Builder::from_random_bytes(rand::rng().random()).into_uuid(),
            key,
            operator,
            change.action,
            change.subject,
            change.detail,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn columns(actor: &Actor) -> (Option<Uuid>, Option<&str>) {
    match actor {
        Actor::Key(id) => (Some(ApiKeyId::uuid(*id)), None),
        Actor::Operator(name) => (None, Some(name)),
    }
}

/// One line per change, after the commit.
pub(super) fn log(actor: &Actor, changes: &[AuditedChange]) {
    let (key, operator) = columns(actor);
    for change in changes {
        tracing::info!(
            target: "audit",
            action = change.action,
            subject = change.subject,
            detail = change.detail,
            operator,
            key.id = key.map(tracing::field::display),
            organization.id = change.organization_id.as_ref().map(tracing::field::display),
            "changed"
        );
    }
}

/// Changes that a transaction has collected, and who makes them.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// `None` for work that is not audited: what humans cause, and what the service does by itself.
    pub(super) actor: Option<Arc<Actor>>,
    pub(super) changes: Vec<AuditedChange>,
}
