//! Identities, and the handles that find them platform-wide.

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{FilterMode, Handle, Identity, IdentityId, OrganizationId, Page, PageRequest, Position};
use crate::error::{Error, Resource};

struct Row {
    id: Uuid,
    agent_handle: String,
    display_name: String,
    imessage_enabled: bool,
    filter_mode: i16,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn identity(self, organization_id: &OrganizationId) -> Result<Identity, StoreError> {
        Ok(Identity {
            id: self.id.into(),
            organization_id: organization_id.clone(),
            agent_handle: self.agent_handle,
            display_name: self.display_name,
            imessage_enabled: self.imessage_enabled,
            filter_mode: filter_mode(self.filter_mode, self.id)?,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// Reads a stored filter mode.
pub(super) fn filter_mode(number: i16, id: Uuid) -> Result<FilterMode, StoreError> {
    FilterMode::from_number(number).ok_or(StoreError::Corrupt {
        table: "identities",
        column: "filter_mode",
        id,
    })
}

/// What [`create`] makes.
#[derive(Debug, Clone)]
pub struct NewIdentity {
    /// Its id.
    pub id: IdentityId,
    /// Its owner.
    pub organization_id: OrganizationId,
    /// Its handle.
    pub handle: Handle,
    /// Free text for people.
    pub display_name: String,
    /// Whether humans can reach it.
    pub imessage_enabled: bool,
    /// How its contact rules are read.
    pub filter_mode: FilterMode,
}

/// Makes an identity.
///
/// # Errors
/// `AlreadyExists` when the handle is taken; it names the identity that has it only inside the same organization.
pub async fn create(db: &Database, new: NewIdentity, now: DateTime<Utc>) -> Result<Identity, StoreError> {
    // Two tables must agree: the handle, which is global, and the identity, which is its organization's.
    db.transaction(
        Affects::organization(&new.organization_id),
        "transaction identities::create",
        move |connection| {
            let new = new.clone();
            Box::pin(async move {
                let taken = query!(
                    "INSERT INTO handles (handle, organization_id, agent_identity_id) VALUES ($1, $2, $3)
                 ON CONFLICT (handle) DO NOTHING",
                    new.handle.key(),
                    new.organization_id.as_str(),
                    new.id.uuid(),
                )
                .execute(&mut *connection)
                .await?
                .rows_affected()
                    == 0;
                if taken {
                    let holder = query!(
                        "SELECT agent_identity_id FROM handles WHERE handle = $1 AND organization_id = $2",
                        new.handle.key(),
                        new.organization_id.as_str(),
                    )
                    .fetch_optional(&mut *connection)
                    .await?;
                    let existing_id = holder.map(|row| row.agent_identity_id);
                    return Err(Error::AlreadyExists { resource: Resource::Identity, existing_id }.into());
                }
                query!(
                "INSERT INTO identities (organization_id, id, agent_handle, display_name, imessage_enabled,
                                         filter_mode, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
                new.organization_id.as_str(),
                new.id.uuid(),
                new.handle.as_given(),
                new.display_name,
                new.imessage_enabled,
                new.filter_mode.number(),
                now,
            )
                .execute(connection)
                .await?;
                Ok(Identity {
                    id: new.id,
                    organization_id: new.organization_id,
                    agent_handle: new.handle.as_given().to_owned(),
                    display_name: new.display_name,
                    imessage_enabled: new.imessage_enabled,
                    filter_mode: new.filter_mode,
                    created_at: now,
                    updated_at: now,
                })
            })
        },
    )
    .await
}

/// One identity of an organization, to be shown.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
) -> Result<Option<Identity>, StoreError> {
    let mut session = db.read(organization_id).await?;
    session.find("query identities::get", |connection| one(connection, organization_id, id)).await
}

/// One identity of an organization as it is now, for what depends on it.
pub async fn current(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
) -> Result<Option<Identity>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session.run("query identities::current", |connection| one(connection, organization_id, id)).await
}

async fn one(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    id: IdentityId,
) -> Result<Option<Identity>, StoreError> {
    query_as!(
        Row,
        "SELECT id, agent_handle, display_name, imessage_enabled, filter_mode, created_at, updated_at
             FROM identities
             WHERE organization_id = $1 AND id = $2",
        organization_id.as_str(),
        id.uuid(),
    )
    .fetch_optional(connection)
    .await?
    .map(|row| row.identity(organization_id))
    .transpose()
}

/// The identities of an organization, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    page: &PageRequest,
) -> Result<Page<Identity>, StoreError> {
    let after = page.after();
    let mut session = db.read(organization_id).await?;
    let rows = session
        .run("query identities::list", |connection| async move {
            query_as!(
                Row,
                "SELECT id, agent_handle, display_name, imessage_enabled, filter_mode, created_at, updated_at
                 FROM identities
                 WHERE organization_id = $1 AND (created_at, id) < ($2, $3)
                 ORDER BY created_at DESC, id DESC
                 LIMIT $4",
                organization_id.as_str(),
                after.at,
                after.id,
                page.rows_to_read(),
            )
            .fetch_all(connection)
            .await?
            .into_iter()
            .map(|row| row.identity(organization_id))
            .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    Ok(Page::cut(rows, page.limit, |row| Position { at: row.created_at, id: row.id.uuid() }))
}

/// What [`update`] changes; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct IdentityChange {
    /// New display name.
    pub display_name: Option<String>,
    /// New switch.
    pub imessage_enabled: Option<bool>,
    /// New mode.
    pub filter_mode: Option<FilterMode>,
}

/// Changes an identity and returns it as it is then; `None` when there is no such identity.
pub async fn update(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
    change: &IdentityChange,
    now: DateTime<Utc>,
) -> Result<Option<Identity>, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query identities::update", |connection| async move {
            query_as!(
                Row,
                "UPDATE identities
             SET display_name = coalesce($3, display_name),
                 imessage_enabled = coalesce($4, imessage_enabled),
                 filter_mode = coalesce($5, filter_mode),
                 updated_at = greatest(updated_at, $6)
             WHERE organization_id = $1 AND id = $2
             RETURNING id, agent_handle, display_name, imessage_enabled, filter_mode, created_at, updated_at",
                organization_id.as_str(),
                id.uuid(),
                change.display_name.as_deref(),
                change.imessage_enabled,
                change.filter_mode.map(FilterMode::number),
                now,
            )
            .fetch_optional(connection)
            .await?
            .map(|row| row.identity(organization_id))
            .transpose()
        })
        .await
}
