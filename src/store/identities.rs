//! Identities, and the platform-wide unique handles by which humans find them.

mod deletion;

pub use deletion::{DeletionOutcome, begin_deletion, finish_deletion, humans_of};

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::newest_first::{convert, newest_first};
use super::{Affects, Created, Database, DbConnection, StoreError};
use crate::domain::{
    AuditedChange, FilterMode, Handle, Identity, IdentityId, OrganizationId, Page, PageRequest,
};

struct Row {
    id: Uuid,
    agent_handle: String,
    display_name: String,
    description: Option<String>,
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
            description: self.description,
            imessage_enabled: self.imessage_enabled,
            filter_mode: filter_mode(self.filter_mode, self.id)?,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// The filter mode stored as a number in identity `id`.
pub(super) fn filter_mode(number: i16, id: Uuid) -> Result<FilterMode, StoreError> {
    FilterMode::from_number(number).ok_or(StoreError::Corrupt {
        table: "identities",
        column: "filter_mode",
        id,
    })
}

/// An identity to [`create`].
#[derive(Debug, Clone)]
pub struct NewIdentity {
    /// Its id.
    pub id: IdentityId,
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// Its handle.
    pub handle: Handle,
    /// Name shown to people, free text.
    pub display_name: String,
    /// What it does, free text for people.
    pub description: Option<String>,
    /// Whether humans can reach it by iMessage.
    pub imessage_enabled: bool,
    /// Whether contact rules list the blocked or the allowed numbers.
    pub filter_mode: FilterMode,
}

/// Inserts an identity together with its handle. Conflicts if the handle is taken, by any organization's
/// identity; `existing_id` names it only if it belongs to the same organization.
pub async fn create(
    db: &Database,
    new: NewIdentity,
    now: DateTime<Utc>,
) -> Result<Created<Identity>, StoreError> {
    let affects = Affects::organization(&new.organization_id);
    // One transaction, because the global table of handles must agree with the organization's identities.
    db.transaction(affects, "transaction identities::create", move |connection| {
        let new = new.clone();
        Box::pin(async move {
            if !insert_handle(connection, &new).await? {
                let existing_id = holder_of_handle(connection, &new).await?;
                return Ok(Created::Conflict { existing_id });
            }
            insert_identity(connection, &new, now).await?;
            let change =
                AuditedChange::of(&new.organization_id, "identity.create", &new.id, new.handle.as_given());
            connection.audit(change)?;
            Ok(Created::New(Identity {
                id: new.id,
                organization_id: new.organization_id,
                agent_handle: new.handle.as_given().to_owned(),
                display_name: new.display_name,
                description: new.description,
                imessage_enabled: new.imessage_enabled,
                filter_mode: new.filter_mode,
                created_at: now,
                updated_at: now,
            }))
        })
    })
    .await
}

/// Returns false if the handle is taken.
async fn insert_handle(connection: &mut DbConnection, new: &NewIdentity) -> Result<bool, StoreError> {
    let done = query!(
        "INSERT INTO handles (handle, organization_id, agent_identity_id) VALUES ($1, $2, $3)
         ON CONFLICT (handle) DO NOTHING",
        new.handle.key(),
        new.organization_id.as_str(),
        new.id.uuid(),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The identity of the same organization that has the handle.
async fn holder_of_handle(
    connection: &mut DbConnection,
    new: &NewIdentity,
) -> Result<Option<Uuid>, StoreError> {
    let row = query!(
        "SELECT agent_identity_id FROM handles WHERE handle = $1 AND organization_id = $2",
        new.handle.key(),
        new.organization_id.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.agent_identity_id))
}

async fn insert_identity(
    connection: &mut DbConnection,
    new: &NewIdentity,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    query!(
        "INSERT INTO identities (organization_id, id, agent_handle, display_name, imessage_enabled,
                                 filter_mode, created_at, updated_at, description)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        new.organization_id.as_str(),
        new.id.uuid(),
        new.handle.as_given(),
        new.display_name,
        new.imessage_enabled,
        new.filter_mode.number(),
        now,
        new.description,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An identity by id, possibly read from the replica.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
) -> Result<Option<Identity>, StoreError> {
    let mut session = db.read(organization_id).await?;
    session.find("query identities::get", |connection| one(connection, organization_id, id)).await
}

/// An identity by id, read from the primary, for decisions that depend on its current state.
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
        "SELECT id, agent_handle, display_name, description, imessage_enabled, filter_mode, created_at,
                updated_at
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

/// An identity by handle, possibly read from the replica; the own one, if an identity asks.
pub async fn find(
    db: &Database,
    organization_id: &OrganizationId,
    own: Option<IdentityId>,
    handle: &Handle,
) -> Result<Option<Identity>, StoreError> {
    let mut session = db.read(organization_id).await?;
    session
        .find("query identities::find", |connection| async move {
            query_as!(
                Row,
                "SELECT i.id, i.agent_handle, i.display_name, i.description, i.imessage_enabled, i.filter_mode,
                        i.created_at, i.updated_at
                 FROM handles h
                 JOIN identities i ON i.organization_id = $1 AND i.id = h.agent_identity_id
                 WHERE h.handle = $2 AND h.organization_id = $1 AND ($3::uuid IS NULL OR i.id = $3)",
                organization_id.as_str(),
                handle.key(),
                own.map(IdentityId::uuid),
            )
            .fetch_optional(connection)
            .await?
            .map(|row| row.identity(organization_id))
            .transpose()
        })
        .await
}

/// A page of the identities of an organization, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    page: &PageRequest,
) -> Result<Page<Identity>, StoreError> {
    let mut session = db.read(organization_id).await?;
    let rows = session
        .run("query identities::list", |connection| async move {
            newest_first!(
                Row,
                connection,
                organization_id,
                page,
                "SELECT id, agent_handle, display_name, description, imessage_enabled, filter_mode, created_at,
                updated_at
                 FROM identities
                 WHERE organization_id = $1"
            )
        })
        .await?;
    convert(rows, |row| row.identity(organization_id))
}

/// The fields that [`update`] changes; `None` keeps a field.
#[derive(Debug, Clone, Default)]
pub struct IdentityChange {
    /// Name shown to people.
    pub display_name: Option<String>,
    /// What it does; `Some("")` removes the description.
    pub description: Option<String>,
    /// Whether humans can reach it by iMessage.
    pub imessage_enabled: Option<bool>,
    /// How contact rules are read.
    pub filter_mode: Option<FilterMode>,
}

impl IdentityChange {
    /// What it sets, without free text.
    fn describe(&self) -> String {
        let mut set = Vec::new();
        if self.display_name.is_some() {
            set.push("display_name".to_owned());
        }
        if self.description.is_some() {
            set.push("description".to_owned());
        }
        if let Some(enabled) = self.imessage_enabled {
            set.push(format!("imessage_enabled={enabled}"));
        }
        match self.filter_mode {
            Some(FilterMode::Blacklist) => set.push("filter_mode=blacklist".to_owned()),
            Some(FilterMode::Whitelist) => set.push("filter_mode=whitelist".to_owned()),
            None => {}
        }
        set.join(" ")
    }
}

/// Updates an identity and returns the updated identity; `None` if it does not exist.
pub async fn update(
    db: &Database,
    organization_id: &OrganizationId,
    id: IdentityId,
    change: &IdentityChange,
    now: DateTime<Utc>,
) -> Result<Option<Identity>, StoreError> {
    let (owner, change) = (organization_id.clone(), change.clone());
    let affects = Affects::organization(organization_id);
    // One transaction, because the audit log must agree.
    db.transaction(affects, "transaction identities::update", move |connection| {
        let (organization_id, change) = (owner.clone(), change.clone());
        Box::pin(async move {
            let updated = query_as!(
                Row,
                "UPDATE identities
                 SET display_name = coalesce($3, display_name),
                     description = nullif(coalesce($7, description), ''),
                     imessage_enabled = coalesce($4, imessage_enabled),
                     filter_mode = coalesce($5, filter_mode),
                     updated_at = greatest(updated_at, $6)
                 WHERE organization_id = $1 AND id = $2
                 RETURNING id, agent_handle, display_name, description, imessage_enabled, filter_mode, created_at,
                           updated_at",
                organization_id.as_str(),
                id.uuid(),
                change.display_name.as_deref(),
                change.imessage_enabled,
                change.filter_mode.map(FilterMode::number),
                now,
                change.description.as_deref(),
            )
            .fetch_optional(&mut *connection)
            .await?;
            if updated.is_some() {
                connection.audit(AuditedChange::of(&organization_id, "identity.update", &id, change.describe()))?;
            }
            updated.map(|row| row.identity(&organization_id)).transpose()
        })
    })
    .await
}
