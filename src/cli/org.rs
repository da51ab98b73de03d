//! `org`: organizations.

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::key::{admin_key, issue};
use super::table::{OutputArgs, Table, time};
use crate::clock::{Clock as _, SystemClock};
use crate::config::DatabaseArgs;
use crate::domain::OrganizationId;
use crate::store;

#[derive(Debug, clap::Subcommand)]
pub(super) enum OrgCommand {
    /// Create an organization and its first admin key; prints the secret of the key.
    Create {
        /// Id of the organization, such as `org_acme`.
        id: String,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// List the organizations in the order of their ids.
    List {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

impl OrgCommand {
    pub(super) const fn operator(&self) -> &OperatorArgs {
        match self {
            Self::Create { operator, .. } | Self::List { operator, .. } => operator,
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create { id, operator } => create(&operator.database, id).await,
            Self::List { output, operator } => list(&operator.database, output).await,
        }
    }
}

async fn create(args: &DatabaseArgs, id: String) -> Result<(), CliError> {
    let length = id.chars().count();
    if length == 0 || length > OrganizationId::MAX_CHARACTERS || id.chars().any(char::is_control) {
        return Err(CliError::Usage(format!(
            "an organization id has 1 to {} characters and no control characters",
            OrganizationId::MAX_CHARACTERS
        )));
    }
    let id = OrganizationId::from(id);
    let access = DatabaseAccess::connect(args).await?;
    let created = async {
        let db = access.open().await?;
        if !store::organizations::create(&db, &id, SystemClock.now()).await? {
            return Err(CliError::Failed(format!("organization {id} already exists")));
        }
        issue(&db, admin_key(id.clone(), "first admin key")).await
    }
    .await;
    access.end().await?;
    created?.print(&format!("created organization {id} with its first admin key"));
    Ok(())
}

async fn list(args: &DatabaseArgs, output: OutputArgs) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(args).await?;
    let listed = async { Ok::<_, CliError>(store::organizations::list(&access.open().await?).await?) }.await;
    access.end().await?;
    let rows = listed?.into_iter().map(|(id, created_at)| [id.as_str().into(), time(created_at)]);
    Table::new(["id", "created_at"], rows).print(output);
    Ok(())
}
