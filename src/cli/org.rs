//! `org`: organizations.

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::key::{admin_key, issue};
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
}

impl OrgCommand {
    pub(super) const fn operator(&self) -> &OperatorArgs {
        match self {
            Self::Create { operator, .. } => operator,
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create { id, operator } => create(&operator.database, id).await,
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
