//! `line`: phone numbers of the service.

use clap::ValueEnum;

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::output::print_status;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{CarrierKind, LineRole, PhoneNumber};
use crate::store;
use crate::store::lines::NotAdded;

#[derive(Debug, clap::Subcommand)]
pub(super) enum LineCommand {
    /// Add a phone number to send from.
    Add {
        /// The number in E.164 form.
        number: String,
        /// What the line is for.
        #[arg(long)]
        role: Role,
        /// The carrier that delivers the line's messages. Cannot be changed later.
        #[arg(long, default_value = "sandbox")]
        carrier: CarrierName,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    Router,
    Pool,
}

impl From<Role> for LineRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Router => Self::Router,
            Role::Pool => Self::Pool,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CarrierName {
    Sandbox,
    Sendblue,
    Bluebubbles,
}

impl From<CarrierName> for CarrierKind {
    fn from(name: CarrierName) -> Self {
        match name {
            CarrierName::Sandbox => Self::Sandbox,
            CarrierName::Sendblue => Self::Sendblue,
            CarrierName::Bluebubbles => Self::BlueBubbles,
        }
    }
}

impl LineCommand {
    pub(super) const fn operator(&self) -> &OperatorArgs {
        match self {
            Self::Add { operator, .. } => operator,
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        let Self::Add { number, role, carrier, operator } = self;
        let number =
            PhoneNumber::parse(&number).map_err(|error| CliError::Usage(format!("{number:?} {error}")))?;
        let access = DatabaseAccess::connect(&operator.database).await?;
        let added = async {
            let db = access.open().await?;
            let now = SystemClock.now();
            Ok::<_, CliError>(store::lines::add(&db, &number, role.into(), carrier.into(), now).await?)
        }
        .await;
        access.end().await?;
        added?.map_err(|reason| {
            CliError::Failed(match reason {
                NotAdded::Exists => "this number is already a line".to_owned(),
                NotAdded::RouterExists => "a router line already exists".to_owned(),
            })
        })?;
        print_status("added line");
        Ok(())
    }
}
