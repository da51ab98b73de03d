//! What operators do beside the API: migrations, organizations, keys, lines.

use sqlx::postgres::PgConnectOptions;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Failure, hand_over, say};
use crate::auth::{self, NewKey};
use crate::clock::{Clock as _, SystemClock};
use crate::config::DatabaseArgs;
use crate::dev::embedded_postgres;
use crate::domain::{ApiKeyId, ApiKeyScope, CarrierKind, IdentityId, LineRole, OrganizationId, PhoneNumber};
use crate::error::Error;
use crate::store::api_keys::KeyOwner;
use crate::store::citus::left_over;
use crate::store::lines::NotAdded;
use crate::store::{self, Database, DatabaseTarget, DbConnection, SchemaError};

/// Name of the database inside the embedded PostgreSQL.
pub(super) const EMBEDDED_DATABASE: &str = "inkbox";

/// The database while a command runs. The embedded one is the running service's, or is started for the moment.
pub(super) struct Access {
    endpoint: DatabaseTarget,
    options: PgConnectOptions,
    started: Option<embedded_postgres::Server>,
}

impl Access {
    pub(super) async fn to(args: &DatabaseArgs) -> Result<Self, Failure> {
        if let Some(options) = args.external().map_err(Failure::Usage)? {
            return Ok(Self { endpoint: args.endpoint(&options), options, started: None });
        }
        let embedded = args.embedded();
        if let Some(options) = embedded_postgres::running(&embedded.data_dir, EMBEDDED_DATABASE).await {
            return Ok(Self { endpoint: args.endpoint(&options), options, started: None });
        }
        let server = embedded_postgres::Server::start(embedded)
            .await
            .map_err(|error| Failure::Failed(error.to_string()))?;
        let options = server.connect_options(EMBEDDED_DATABASE);
        store::migrate(&options).await.map_err(|error| schema_failure(&error))?;
        Ok(Self { endpoint: args.endpoint(&options), options, started: Some(server) })
    }

    /// PostgreSQL itself.
    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(super) async fn open(&self) -> Result<Database, Failure> {
        let db = Database::new(self.endpoint().await?, 1, TaskTracker::new())?;
        db.open();
        Ok(db)
    }

    /// Where it is, once its schema was seen to be the one that this program needs.
    pub(super) async fn endpoint(&self) -> Result<DatabaseTarget, Failure> {
        store::schema_is_current(&self.endpoint).await.map_err(|error| schema_failure(&error))?;
        Ok(self.endpoint.clone())
    }

    pub(super) async fn end(self) -> Result<(), Failure> {
        match self.started {
            Some(server) => server.stop().await.map_err(|error| Failure::Failed(error.to_string())),
            None => Ok(()),
        }
    }
}

fn schema_failure(error: &SchemaError) -> Failure {
    Failure::Failed(error.to_string())
}

pub(super) fn storage_failure(failure: store::StoreError) -> Failure {
    match failure {
        store::StoreError::Refused(error) => error.into(),
        other => Failure::Failed(format!("database: {other}")),
    }
}

pub(super) async fn migrate(args: &DatabaseArgs) -> Result<(), Failure> {
    args.can_migrate().map_err(Failure::Usage)?;
    let access = Access::to(args).await?;
    let left_over = async {
        store::migrate(&access.options).await?;
        let mut link = DbConnection::open(&access.endpoint).await?;
        Ok(left_over(&mut link).await?)
    }
    .await;
    access.end().await?;
    let left_over = left_over.map_err(|error| schema_failure(&error))?;
    say("the schema is up to date");
    if !left_over.is_empty() {
        say(&format!(
            "on the coordinator alone, until `inkbox-imessage distribute`: {}",
            left_over.join(", ")
        ));
    }
    Ok(())
}

pub(super) async fn create_org(args: &DatabaseArgs, id: String) -> Result<(), Failure> {
    let length = id.chars().count();
    if length == 0 || length > OrganizationId::MAX_CHARACTERS || id.chars().any(char::is_control) {
        let most = OrganizationId::MAX_CHARACTERS;
        return Err(Failure::Usage(format!(
            "an organization id is 1 to {most} characters, none of them control"
        )));
    }
    let id = OrganizationId::from(id);
    let access = Access::to(args).await?;
    let made = async {
        let db = access.open().await?;
        if !store::organizations::create(&db, &id, SystemClock.now()).await.map_err(storage_failure)? {
            return Err(Failure::Failed(format!("organization {id} exists already")));
        }
        mint(&db, admin_key(id.clone(), "first admin key")).await
    }
    .await;
    access.end().await?;
    made?.hand_over(&format!("organization {id} made, with its first admin key"));
    Ok(())
}

/// A key as the command line asks for it.
pub(super) struct WantedKey {
    pub(super) scope: ApiKeyScope,
    pub(super) org: Option<String>,
    pub(super) identity: Option<Uuid>,
    pub(super) label: String,
}

pub(super) async fn create_key(args: &DatabaseArgs, wanted: WantedKey) -> Result<(), Failure> {
    if wanted.label.chars().count() > auth::MAX_LABEL_CHARACTERS {
        return Err(Failure::Usage(format!("a label is at most {} characters", auth::MAX_LABEL_CHARACTERS)));
    }
    let new = match (wanted.scope, wanted.org, wanted.identity) {
        (ApiKeyScope::Admin, Some(org), None) => admin_key(org.into(), &wanted.label),
        (ApiKeyScope::Identity, Some(org), Some(identity)) => NewKey {
            scope: ApiKeyScope::Identity,
            organization_id: Some(org.into()),
            agent_identity_id: Some(identity.into()),
            label: wanted.label,
            expires_at: None,
        },
        (ApiKeyScope::Router, None, None) => NewKey {
            scope: ApiKeyScope::Router,
            organization_id: None,
            agent_identity_id: None,
            label: wanted.label,
            expires_at: None,
        },
        _ => {
            let usage =
                "an admin key takes --org, an identity key --org and --identity, a router key neither";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    let access = Access::to(args).await?;
    let made = async {
        let db = access.open().await?;
        owner_exists(&db, &new).await?;
        mint(&db, new).await
    }
    .await;
    access.end().await?;
    made?.hand_over("key made");
    Ok(())
}

async fn owner_exists(db: &Database, new: &NewKey) -> Result<(), Failure> {
    let Some(organization_id) = &new.organization_id else { return Ok(()) };
    if !store::organizations::exists(db, organization_id).await.map_err(storage_failure)? {
        return Err(Failure::Failed(format!("there is no organization {organization_id}")));
    }
    let Some(identity_id) = new.agent_identity_id else { return Ok(()) };
    match store::identities::current(db, organization_id, identity_id).await.map_err(storage_failure)? {
        Some(_) => Ok(()),
        None => Err(Failure::Failed(format!("{organization_id} has no identity {identity_id}"))),
    }
}

pub(super) async fn revoke_key(args: &DatabaseArgs, id: ApiKeyId) -> Result<(), Failure> {
    let access = Access::to(args).await?;
    let revoked = async {
        let db = access.open().await?;
        let revoked = store::api_keys::revoke(&db, KeyOwner::Anyone, id, SystemClock.now()).await;
        revoked
            .map_err(storage_failure)?
            .ok_or_else(|| Failure::Failed(format!("there is no working key {id}")))
    }
    .await;
    access.end().await?;
    revoked?;
    say(&format!("key {id} revoked"));
    Ok(())
}

pub(super) async fn add_line(
    args: &DatabaseArgs,
    number: &str,
    role: LineRole,
    carrier: CarrierKind,
) -> Result<(), Failure> {
    let number = PhoneNumber::parse(number).map_err(|error| Failure::Usage(format!("{number:?} {error}")))?;
    let access = Access::to(args).await?;
    let added = async {
        let db = access.open().await?;
        match store::lines::add(&db, &number, role, carrier, SystemClock.now())
            .await
            .map_err(storage_failure)?
        {
            Ok(()) => Ok(()),
            Err(NotAdded::Exists) => Err(Failure::Failed("that number is a line already".to_owned())),
            Err(NotAdded::RouterExists) => Err(Failure::Failed("there is a router line already".to_owned())),
        }
    }
    .await;
    access.end().await?;
    added?;
    say("line added");
    Ok(())
}

fn admin_key(organization_id: OrganizationId, label: &str) -> NewKey {
    NewKey {
        scope: ApiKeyScope::Admin,
        organization_id: Some(organization_id),
        agent_identity_id: None::<IdentityId>,
        label: label.to_owned(),
        expires_at: None,
    }
}

/// A key that was made, to be handed over when everything else is done.
struct Made {
    id: ApiKeyId,
    secret: crate::domain::Secret,
}

async fn mint(db: &Database, new: NewKey) -> Result<Made, Failure> {
    let (key, secret) =
        auth::issue_key(db, &SystemClock, new).await.map_err(|error: Error| Failure::from(error))?;
    Ok(Made { id: key.id, secret })
}

impl Made {
    fn hand_over(self, what: &str) {
        say(&format!("{what}: key {}, secret (shown once):", self.id));
        hand_over(self.secret.reveal());
    }
}
