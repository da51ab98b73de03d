//! Queries about the data that an organization has about one human.

use sqlx::query;

use crate::domain::{ConnectionId, IdentityId, OrganizationId, PhoneNumber};
use crate::store::{Affects, Database, StoreError};

/// Maximum number of identities per statement.
const BATCH_SIZE: i64 = 500;

/// How much data an organization has about a human.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubjectCounts {
    /// Connections, including released ones.
    pub connections: i64,
    /// The active ones of the connections.
    pub active: i64,
    /// Conversations.
    pub conversations: i64,
    /// Messages of the conversations, blocked ones included.
    pub messages: i64,
    /// Contact rules for the number.
    pub contact_rules: i64,
}

impl std::ops::Add for SubjectCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            active: self.active + other.active,
            conversations: self.conversations + other.conversations,
            messages: self.messages + other.messages,
            contact_rules: self.contact_rules + other.contact_rules,
        }
    }
}

/// Counts the data about a human. Messages are counted by the conversations' summaries.
pub async fn count_subject(
    db: &Database,
    organization_id: &OrganizationId,
    remote_number: &PhoneNumber,
) -> Result<SubjectCounts, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query erasure::human::known", |connection| async move {
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
            Ok(SubjectCounts {
                connections: connections.all,
                active: connections.active,
                conversations: conversations.all,
                messages: conversations.messages,
                contact_rules: rules.all,
            })
        })
        .await
}

/// Some of the identities that have an active or released connection with a human.
pub async fn connected_identities(
    db: &Database,
    organization_id: &OrganizationId,
    remote_number: &PhoneNumber,
) -> Result<Vec<IdentityId>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query erasure::human::identities_of", |connection| async move {
            let rows = query!(
                "SELECT DISTINCT agent_identity_id FROM connections
                 WHERE organization_id = $1 AND remote_number = $2
                 LIMIT $3",
                organization_id.as_str(),
                remote_number.as_str(),
                BATCH_SIZE,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| row.agent_identity_id.into()).collect())
        })
        .await
}

/// The active connection between an identity and a human.
pub async fn active_connection(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    remote_number: &PhoneNumber,
) -> Result<Option<ConnectionId>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query erasure::human::active_connection", |connection| async move {
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

/// Deletes the contact rules of all identities for a number, at most one per identity. Returns how many were
/// deleted.
pub async fn delete_contact_rules(
    db: &Database,
    organization_id: &OrganizationId,
    remote_number: &PhoneNumber,
) -> Result<u64, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query erasure::human::delete_rules", |connection| async move {
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
