//! The steps of deleting an identity. Its connections and conversations are discarded between the first and the last one.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::domain::{AuditedChange, Handle, IdentityId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, DbConnection, StoreError};

/// Humans per page.
const PAGE_SIZE: i64 = 100;

/// Result of [`finish_deletion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionOutcome {
    /// Everything of the identity is gone.
    Deleted,
    /// There is a connection or a conversation. Nothing was changed.
    InUse,
}

/// Disables an identity and revokes its keys, so that nothing of it is created any more. False if it does not exist. A
/// repetition changes nothing.
pub async fn begin_deletion(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let owner = organization_id.clone();
    let affects = Affects::organization(organization_id);
    // One transaction, so that a key never outlasts the acknowledgement of its identity's end.
    db.transaction(affects, "transaction identities::begin_deletion", move |connection| {
        let organization_id = owner.clone();
        Box::pin(async move {
            let disabled = query!(
                "UPDATE identities SET imessage_enabled = false, updated_at = greatest(updated_at, $3)
                 WHERE organization_id = $1 AND id = $2",
                organization_id.as_str(),
                id.uuid(),
                now,
            )
            .execute(&mut *connection)
            .await?;
            if disabled.rows_affected() == 0 {
                return Ok(false);
            }
            revoke_keys(connection, &organization_id, id, now).await?;
            connection.audit(AuditedChange::of(&organization_id, "identity.delete", &id, ""))?;
            Ok(true)
        })
    })
    .await
}

async fn revoke_keys(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    id: IdentityId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let revoked = query!(
        "UPDATE api_keys SET revoked_at = $3
         WHERE organization_id = $1 AND agent_identity_id = $2 AND revoked_at IS NULL
         RETURNING id",
        organization_id.as_str(),
        id.uuid(),
        now,
    )
    .fetch_all(&mut *connection)
    .await?;
    if revoked.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = revoked.into_iter().map(|row| row.id).collect();
    query!("DELETE FROM key_digests WHERE api_key_id = ANY ($1)", &ids).execute(&mut *connection).await?;
    // Invalidates the key caches of all replicas.
    query!("UPDATE key_epoch SET epoch = epoch + 1 WHERE singleton").execute(connection).await?;
    Ok(())
}

/// The next humans after a number with whom an identity has a connection or a conversation, in the order of their numbers.
pub async fn humans_of(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
    after: &str,
) -> Result<Vec<PhoneNumber>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query identities::deletion::humans_of", |connection| async move {
            let rows = query!(
                r#"SELECT DISTINCT remote_number AS "remote_number!"
                   FROM ((SELECT remote_number FROM connections
                          WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number > $3
                          ORDER BY remote_number
                          LIMIT $4)
                         UNION ALL
                         (SELECT remote_number FROM conversations
                          WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number > $3
                          ORDER BY remote_number
                          LIMIT $4)) human
                   ORDER BY 1
                   LIMIT $4"#,
                organization_id.as_str(),
                id.uuid(),
                after,
                PAGE_SIZE,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| row.remote_number.into()).collect())
        })
        .await
}

/// Deletes an identity that has neither connections nor conversations, with its contact rules, and frees its handle. The
/// foreign keys of what is created for it at the same time wait for this transaction, and are then violated.
pub async fn finish_deletion(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
    now: DateTime<Utc>,
) -> Result<DeletionOutcome, StoreError> {
    let owner = organization_id.clone();
    let affects = Affects::organization(organization_id);
    // One transaction, because the global tables must agree with the organization's identities.
    db.transaction(affects, "transaction identities::finish_deletion", move |connection| {
        let organization_id = owner.clone();
        Box::pin(async move { finish_in(connection, &organization_id, id, now).await })
    })
    .await
}

async fn finish_in(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    id: IdentityId,
    now: DateTime<Utc>,
) -> Result<DeletionOutcome, StoreError> {
    let identity = query!(
        "SELECT agent_handle FROM identities WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id.as_str(),
        id.uuid(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    // Another call has finished.
    let Some(identity) = identity else { return Ok(DeletionOutcome::Deleted) };
    let remaining = query!(
        r#"SELECT EXISTS (SELECT 1 FROM connections WHERE organization_id = $1 AND agent_identity_id = $2)
               OR EXISTS (SELECT 1 FROM conversations WHERE organization_id = $1 AND agent_identity_id = $2)
                  AS "remaining!""#,
        organization_id.as_str(),
        id.uuid(),
    )
    .fetch_one(&mut *connection)
    .await?
    .remaining;
    if remaining {
        return Ok(DeletionOutcome::InUse);
    }
    // Keys may have been created since the deletion began.
    revoke_keys(connection, organization_id, id, now).await?;
    query!(
        "DELETE FROM contact_rules WHERE organization_id = $1 AND agent_identity_id = $2",
        organization_id.as_str(),
        id.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    query!(
        "DELETE FROM identities WHERE organization_id = $1 AND id = $2",
        organization_id.as_str(),
        id.uuid(),
    )
    .execute(&mut *connection)
    .await?;
    let handle = Handle::parse(&identity.agent_handle);
    let key = handle.as_ref().map_or(identity.agent_handle.as_str(), Handle::key);
    query!("DELETE FROM handles WHERE handle = $1 AND agent_identity_id = $2", key, id.uuid())
        .execute(connection)
        .await?;
    Ok(DeletionOutcome::Deleted)
}
