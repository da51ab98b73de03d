//! `identity`: the agents of an organization.

use serde_json::Value;
use uuid::Uuid;

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::output::print_status;
use super::rows::{all_rows, check_organization, until_sent};
use super::table::{OutputArgs, Table, time};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{FilterMode, Handle, Identity, MAX_DISPLAY_NAME_CHARACTERS, OrganizationId};
use crate::store::connections::SendsOf;
use crate::store::identities::{self, IdentityChange, NewIdentity};
use crate::store::{Created, Database};

#[derive(Debug, clap::Subcommand)]
pub(super) enum IdentityCommand {
    /// List the identities of an organization, newest first.
    List {
        /// The organization.
        #[arg(long, value_name = "ID")]
        org: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Create an identity; prints its id.
    Create {
        /// The handle by which humans connect to it, such as `@salesbot`.
        handle: String,
        /// The organization.
        #[arg(long, value_name = "ID")]
        org: String,
        /// The name that people see.
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Let humans reach an identity by iMessage.
    Enable(Switch),
    /// Let no human reach an identity by iMessage. Returns when messages on their way have ended.
    Disable(Switch),
}

#[derive(Debug, clap::Args)]
pub(super) struct Switch {
    /// Id of the identity.
    id: Uuid,
    /// Its organization.
    #[arg(long, value_name = "ID")]
    org: String,
    #[command(flatten)]
    operator: OperatorArgs,
}

impl IdentityCommand {
    pub(super) const fn operator(&self) -> &OperatorArgs {
        match self {
            Self::List { operator, .. } | Self::Create { operator, .. } => operator,
            Self::Enable(switch) | Self::Disable(switch) => &switch.operator,
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::List { org, output, operator } => list(&operator, org.into(), output).await,
            Self::Create { handle, org, name, operator } => {
                create(&operator, org.into(), &handle, name).await
            }
            Self::Enable(switch) => turn(switch, true).await,
            Self::Disable(switch) => turn(switch, false).await,
        }
    }
}

async fn list(operator: &OperatorArgs, org: OrganizationId, output: OutputArgs) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(&operator.database).await?;
    let listed = async {
        let db = access.open().await?;
        check_organization(&db, &org).await?;
        all_rows(async |page| identities::list(&db, &org, &page).await).await
    }
    .await;
    access.end().await?;
    let columns = ["id", "handle", "name", "enabled", "filter_mode", "created_at"];
    Table::new(columns, listed?.iter().map(row)).print(output);
    Ok(())
}

fn row(identity: &Identity) -> [Value; 6] {
    let filter_mode = match identity.filter_mode {
        FilterMode::Blacklist => "blacklist",
        FilterMode::Whitelist => "whitelist",
    };
    [
        identity.id.to_string().into(),
        identity.agent_handle.clone().into(),
        identity.display_name.clone().into(),
        identity.imessage_enabled.into(),
        filter_mode.into(),
        time(identity.created_at),
    ]
}

async fn create(
    operator: &OperatorArgs,
    org: OrganizationId,
    handle: &str,
    name: String,
) -> Result<(), CliError> {
    let handle = Handle::parse(handle).map_err(|error| CliError::Usage(format!("the handle {error}")))?;
    if name.chars().count() > MAX_DISPLAY_NAME_CHARACTERS {
        return Err(CliError::Usage(format!("a name has at most {MAX_DISPLAY_NAME_CHARACTERS} characters")));
    }
    let new = NewIdentity {
        id: SystemClock.new_id().into(),
        organization_id: org.clone(),
        handle,
        display_name: name,
        description: None,
        imessage_enabled: true,
        filter_mode: FilterMode::Blacklist,
    };
    let access = DatabaseAccess::connect(&operator.database).await?;
    let created = async {
        let db = access.open().await?;
        check_organization(&db, &org).await?;
        Ok::<_, CliError>(identities::create(&db, new, SystemClock.now()).await?)
    }
    .await;
    access.end().await?;
    match created? {
        Created::New(identity) => {
            print_status(&format!("created identity {}", identity.id));
            Ok(())
        }
        Created::Conflict { .. } => Err(CliError::Failed("another identity has this handle".to_owned())),
    }
}

async fn turn(switch: Switch, on: bool) -> Result<(), CliError> {
    let Switch { id, org, operator } = switch;
    let org = OrganizationId::from(org);
    let access = DatabaseAccess::connect(&operator.database).await?;
    let turned = async {
        let db = access.open().await?;
        change(&db, &org, id, on).await
    }
    .await;
    access.end().await?;
    turned?;
    print_status(if on { "enabled identity" } else { "disabled identity" });
    Ok(())
}

async fn change(db: &Database, org: &OrganizationId, id: Uuid, on: bool) -> Result<(), CliError> {
    let change = IdentityChange {
        display_name: None,
        description: None,
        imessage_enabled: Some(on),
        filter_mode: None,
    };
    let changed = identities::update(db, org, id.into(), &change, SystemClock.now()).await?;
    changed.ok_or_else(|| CliError::Failed(format!("{org} has no identity {id}")))?;
    until_sent(db, org, SendsOf::Identity(id.into())).await
}
