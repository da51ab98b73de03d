//! `key`: API keys.

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde_json::Value;
use uuid::Uuid;

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::output::{print_secret, print_status};
use super::rows::{all_rows, check_organization};
use super::table::{OutputArgs, Table, time};
use crate::auth::{self, NewKey};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Age, DatabaseArgs};
use crate::domain::{ApiKey, ApiKeyId, ApiKeyScope, OrganizationId, PageRequest, Secret, Start};
use crate::store::api_keys::KeyOwner;
use crate::store::{self, Database};

/// Router keys that are listed: operators have few.
const MAX_ROUTER_KEYS: u32 = 1_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Create a key; prints its secret.
    Create {
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// List keys, newest first, revoked ones included. Secrets are not stored.
    List {
        /// The keys of this organization.
        #[arg(long, value_name = "ID", conflicts_with = "router", required_unless_present = "router")]
        org: Option<String>,
        /// The router keys.
        #[arg(long)]
        router: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Create a key with the permissions and the label of another one; prints its secret. The other key works until it is
    /// revoked.
    Rotate {
        /// Id of the key.
        id: Uuid,
        #[command(flatten)]
        expiry: Expiry,
        /// Revoke the other key at once.
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Revoke a key permanently.
    Revoke {
        /// Id of the key.
        id: Uuid,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// Permissions of the key.
    #[arg(long)]
    scope: Scope,
    /// Organization of an admin or identity key.
    #[arg(long, value_name = "ID", required_if_eq_any([("scope", "admin"), ("scope", "identity")]))]
    org: Option<String>,
    /// Identity of an identity key.
    #[arg(long, value_name = "ID", required_if_eq("scope", "identity"))]
    identity: Option<Uuid>,
    /// Free text for people.
    #[arg(long, default_value = "")]
    label: String,
    #[command(flatten)]
    expiry: Expiry,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Expiry {
    /// How long the key works, such as `90d` or `12h`; `off` = until it is revoked.
    #[arg(long, default_value = "off", value_name = "TIME")]
    expires: Age,
}

impl Expiry {
    fn at(self) -> Option<DateTime<Utc>> {
        self.expires.0.map(|age| SystemClock.now() + age)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    Admin,
    Identity,
    Router,
}

impl KeyCommand {
    pub(super) const fn operator(&self) -> &OperatorArgs {
        match self {
            Self::Create { operator, .. }
            | Self::List { operator, .. }
            | Self::Rotate { operator, .. }
            | Self::Revoke { operator, .. } => operator,
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create { key, operator } => create(&operator.database, key).await,
            Self::List { org, output, operator, .. } => list(&operator, org.map(Into::into), output).await,
            Self::Rotate { id, expiry, revoke, operator } => {
                rotate(&operator.database, id.into(), expiry, revoke).await
            }
            Self::Revoke { id, operator } => revoke(&operator.database, id.into()).await,
        }
    }
}

impl KeyArgs {
    fn into_new_key(self) -> Result<NewKey, CliError> {
        if self.label.chars().count() > auth::MAX_LABEL_CHARACTERS {
            let message = format!("a label has at most {} characters", auth::MAX_LABEL_CHARACTERS);
            return Err(CliError::Usage(message));
        }
        let expires_at = self.expiry.at();
        match (self.scope, self.org, self.identity) {
            (Scope::Admin, Some(org), None) => {
                Ok(NewKey { expires_at, ..admin_key(org.into(), &self.label) })
            }
            (Scope::Identity, Some(org), Some(identity)) => Ok(NewKey {
                scope: ApiKeyScope::Identity,
                organization_id: Some(org.into()),
                agent_identity_id: Some(identity.into()),
                label: self.label,
                expires_at,
            }),
            (Scope::Router, None, None) => Ok(NewKey {
                scope: ApiKeyScope::Router,
                organization_id: None,
                agent_identity_id: None,
                label: self.label,
                expires_at,
            }),
            _ => {
                let usage =
                    "an admin key takes --org, an identity key --org and --identity, a router key neither";
                Err(CliError::Usage(usage.to_owned()))
            }
        }
    }
}

async fn create(args: &DatabaseArgs, key: KeyArgs) -> Result<(), CliError> {
    let new = key.into_new_key()?;
    let access = DatabaseAccess::connect(args).await?;
    let issued = async {
        let db = access.open().await?;
        check_owner(&db, &new).await?;
        issue(&db, new).await
    }
    .await;
    access.end().await?;
    issued?.print("created key");
    Ok(())
}

/// Checks that the organization and the identity of a new key exist.
async fn check_owner(db: &Database, new: &NewKey) -> Result<(), CliError> {
    let Some(organization_id) = &new.organization_id else { return Ok(()) };
    check_organization(db, organization_id).await?;
    let Some(identity_id) = new.agent_identity_id else { return Ok(()) };
    match store::identities::current(db, organization_id, identity_id).await? {
        Some(_) => Ok(()),
        None => Err(CliError::Failed(format!("{organization_id} has no identity {identity_id}"))),
    }
}

async fn list(
    operator: &OperatorArgs,
    org: Option<OrganizationId>,
    output: OutputArgs,
) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(&operator.database).await?;
    let listed = async {
        let db = access.open().await?;
        let Some(org) = org else {
            let newest = PageRequest { limit: MAX_ROUTER_KEYS, start: Start::Offset(0) };
            return Ok(store::api_keys::list_router_keys(&db, &newest).await?);
        };
        check_organization(&db, &org).await?;
        all_rows(async |page| store::api_keys::list(&db, &org, &page).await).await
    }
    .await;
    access.end().await?;
    let columns = [
        "id",
        "scope",
        "identity",
        "label",
        "prefix",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    ];
    Table::new(columns, listed?.iter().map(row)).print(output);
    Ok(())
}

fn row(key: &ApiKey) -> [Value; 9] {
    let scope = match key.scope {
        ApiKeyScope::Admin => "admin",
        ApiKeyScope::Identity => "identity",
        ApiKeyScope::Router => "router",
    };
    [
        key.id.to_string().into(),
        scope.into(),
        key.agent_identity_id.map(|id| id.to_string()).into(),
        key.label.clone().into(),
        key.display_prefix.clone().into(),
        time(key.created_at),
        key.expires_at.map(time).into(),
        key.revoked_at.map(time).into(),
        key.last_used_at.map(time).into(),
    ]
}

async fn rotate(args: &DatabaseArgs, id: ApiKeyId, expiry: Expiry, and_revoke: bool) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(args).await?;
    let issued = async {
        let db = access.open().await?;
        let found = store::api_keys::find_working(&db, id).await?;
        let old = found.ok_or_else(|| CliError::Failed(format!("there is no active key {id}")))?;
        let new = NewKey {
            scope: old.scope,
            organization_id: old.organization_id,
            agent_identity_id: old.agent_identity_id,
            label: old.label,
            expires_at: expiry.at(),
        };
        let issued = issue(&db, new).await?;
        if and_revoke {
            store::api_keys::revoke(&db, KeyOwner::Anyone, id, SystemClock.now()).await?;
        }
        Ok::<_, CliError>(issued)
    }
    .await;
    access.end().await?;
    issued?.print(if and_revoke { "created key, and revoked the other one" } else { "created key" });
    Ok(())
}

async fn revoke(args: &DatabaseArgs, id: ApiKeyId) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(args).await?;
    let revoked = async {
        let db = access.open().await?;
        let revoked = store::api_keys::revoke(&db, KeyOwner::Anyone, id, SystemClock.now()).await?;
        revoked.ok_or_else(|| CliError::Failed(format!("there is no active key {id}")))
    }
    .await;
    access.end().await?;
    revoked?;
    print_status(&format!("revoked key {id}"));
    Ok(())
}

pub(super) fn admin_key(organization_id: OrganizationId, label: &str) -> NewKey {
    NewKey {
        scope: ApiKeyScope::Admin,
        organization_id: Some(organization_id),
        agent_identity_id: None,
        label: label.to_owned(),
        expires_at: None,
    }
}

/// A new key, whose secret is printed when everything else has succeeded.
pub(super) struct IssuedKey {
    id: ApiKeyId,
    secret: Secret,
}

pub(super) async fn issue(db: &Database, new: NewKey) -> Result<IssuedKey, CliError> {
    let (key, secret) = auth::issue_key(db, &SystemClock, new).await?;
    Ok(IssuedKey { id: key.id, secret })
}

impl IssuedKey {
    pub(super) fn print(self, status: &str) {
        print_status(&format!("{status}: key {}, secret (shown once):", self.id));
        print_secret(self.secret.reveal());
    }
}
