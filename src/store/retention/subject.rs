//! What an organization knows of a human.

use sqlx::query;

use crate::domain::{ConnectionId, IdentityId, OrganizationId, PhoneNumber};
use crate::store::{Database, Failure};

/// Most rows of one statement.
const BATCH: i64 = 500;

/// How much an organization knows of a human.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// Connections, ended ones too.
    pub connections: i64,
    /// Those of them that are active.
    pub active: i64,
    /// Conversations.
    pub conversations: i64,
    /// Messages in them, of every view.
    pub messages: i64,
    /// Contact rules for the number.
    pub contact_rules: i64,
}

/// Counts what there is. Messages are taken from the summaries of conversations.
pub async fn known(
    db: &Database,
    organization_id: &OrganizationId,
    remote_number: &PhoneNumber,
) -> Result<Known, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
            let connections = query!(
                r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE released_at IS NULL) AS "active!"
                   FROM connections WHERE organization_id = $1 AND remote_number = $2"#,
                organization_id.as_str(),
                remote_number.as_str(),
            )
            .fetch_one(&mut *connection)
            .await?;
            let conversations = query!(
                r#"SELECT count(*) AS "all!", coalesce(sum(clear_total + blocked_total), 0) AS "messages!"
                   FROM conversations WHERE organization_id = $1 AND remote_number = $2"#,
                organization_id.as_str(),
                remote_number.as_str(),
            )
            .fetch_one(&mut *connection)
            .await?;
            let rules = query!(
                r#"SELECT count(*) AS "all!" FROM contact_rules
                   WHERE organization_id = $1 AND match_target = $2"#,
                organization_id.as_str(),
                remote_number.as_str(),
            )
            .fetch_one(connection)
            .await?;
            Ok(Known {
                connections: connections.all,
                active: connections.active,
                conversations: conversations.all,
                messages: conversations.messages,
                contact_rules: rules.all,
            })
        })
        .await
}

/// Some of the identities that this human was ever connected to.
pub async fn identities_of(
    db: &Database,
    organization_id: &OrganizationId,
    remote_number: &PhoneNumber,
) -> Result<Vec<IdentityId>, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
            let rows = query!(
                "SELECT DISTINCT agent_identity_id FROM connections
                 WHERE organization_id = $1 AND remote_number = $2
                 LIMIT $3",
                organization_id.as_str(),
                remote_number.as_str(),
                BATCH,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| row.agent_identity_id.into()).collect())
        })
        .await
}

/// The active connection of a pair.
pub async fn active_connection(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    remote_number: &PhoneNumber,
) -> Result<Option<ConnectionId>, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
            let row = query!(
                "SELECT id FROM connections
                 WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3 AND released_at IS NULL",
                organization_id.as_str(),
                identity_id.uuid(),
                remote_number.as_str(),
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.id.into()))
        })
        .await
}

/// Deletes the contact rules for a number, of every identity, and returns how many there were: one an identity at most.
pub async fn delete_rules(
    db: &Database,
    organization_id: &OrganizationId,
    remote_number: &PhoneNumber,
) -> Result<u64, Failure> {
    let mut session = db.session_for(organization_id).await?;
    session
        .run(|connection| async move {
            let done = query!(
                "DELETE FROM contact_rules WHERE organization_id = $1 AND match_target = $2",
                organization_id.as_str(),
                remote_number.as_str(),
            )
            .execute(connection)
            .await?;
            Ok(done.rows_affected())
        })
        .await
}
