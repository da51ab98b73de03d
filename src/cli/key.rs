//! `key`: API keys.

use clap::ValueEnum;
use uuid::Uuid;

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::output::{print_secret, print_status};
use crate::auth::{self, NewKey};
use crate::clock::{Clock as _, SystemClock};
use crate::config::DatabaseArgs;
use crate::domain::{ApiKeyId, ApiKeyScope, OrganizationId, Secret};
use crate::store::api_keys::KeyOwner;
use crate::store::{self, Database};

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Create a key; prints its secret.
    Create {
        #[command(flatten)]
        key: KeyArgs,
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
            Self::Create { operator, .. } | Self::Revoke { operator, .. } => operator,
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create { key, operator } => create(&operator.database, key).await,
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
        match (self.scope, self.org, self.identity) {
            (Scope::Admin, Some(org), None) => Ok(admin_key(org.into(), &self.label)),
            (Scope::Identity, Some(org), Some(identity)) => Ok(NewKey {
                scope: ApiKeyScope::Identity,
                organization_id: Some(org.into()),
                agent_identity_id: Some(identity.into()),
                label: self.label,
                expires_at: None,
            }),
            (Scope::Router, None, None) => Ok(NewKey {
                scope: ApiKeyScope::Router,
                organization_id: None,
                agent_identity_id: None,
                label: self.label,
                expires_at: None,
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
    if !store::organizations::exists(db, organization_id).await? {
        return Err(CliError::Failed(format!("organization {organization_id} does not exist")));
    }
    let Some(identity_id) = new.agent_identity_id else { return Ok(()) };
    match store::identities::current(db, organization_id, identity_id).await? {
        Some(_) => Ok(()),
        None => Err(CliError::Failed(format!("{organization_id} has no identity {identity_id}"))),
    }
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
