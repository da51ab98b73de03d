//! `line`: phone numbers of the service.

mod change;
mod list;

use clap::ValueEnum;
use url::Url;

use self::change::NumberArgs;
use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::output::{print_secret, print_status};
use super::table::OutputArgs;
use crate::carrier_webhooks::Secret;
use crate::clock::{Clock as _, SystemClock};
use crate::config::is_carrier_configured;
use crate::domain::{CarrierKind, LineRole, PhoneNumber};
use crate::store::lines::NotAdded;
use crate::store::{self, Database, DbConnection, StoreError};

#[derive(Debug, clap::Subcommand)]
pub(super) enum LineCommand {
    /// Add a phone number to send from.
    Add {
        /// The number in E.164 form.
        number: String,
        /// What the line is for.
        #[arg(long)]
        role: Role,
        /// The carrier that delivers the line's messages. Cannot be changed later. Required once a carrier is configured or
        /// has lines; before, the sandbox.
        #[arg(long)]
        carrier: Option<CarrierName>,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Print the webhook URLs of the lines that are `BlueBubbles` servers. They contain tokens.
    Urls {
        /// The public address of the webhook listener, such as `https://webhooks.example.com`.
        #[arg(long, value_name = "URL")]
        base: Url,
        /// As for `serve`.
        #[arg(
            long,
            env = "INKBOX_BLUEBUBBLES_WEBHOOK_SECRET",
            hide_env_values = true,
            value_name = "SECRET"
        )]
        bluebubbles_webhook_secret: Secret,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// List the lines, with their roles, carriers and numbers of active connections.
    List {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Give a pool line no new connections. Those that it has go on.
    Pause(NumberArgs),
    /// End the pause of a line.
    Resume(NumberArgs),
    /// Remove a line without active connections. Its conversations stay.
    Remove(NumberArgs),
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
            Self::Add { operator, .. } | Self::Urls { operator, .. } | Self::List { operator, .. } => {
                operator
            }
            Self::Pause(args) | Self::Resume(args) | Self::Remove(args) => &args.operator,
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::Add { number, role, carrier, operator } => add(&number, role, carrier, &operator).await,
            Self::Urls { base, bluebubbles_webhook_secret, operator } => {
                print_urls(&base, &bluebubbles_webhook_secret, &operator).await
            }
            Self::List { output, operator } => list::list(&operator, output).await,
            Self::Pause(args) => change::pause(&args).await,
            Self::Resume(args) => change::resume(&args).await,
            Self::Remove(args) => change::remove(&args).await,
        }
    }
}

async fn add(
    number: &str,
    role: Role,
    carrier: Option<CarrierName>,
    operator: &OperatorArgs,
) -> Result<(), CliError> {
    let number = parse_number(number)?;
    let access = DatabaseAccess::connect(&operator.database).await?;
    let added = async {
        let db = access.open().await?;
        let carrier = match carrier {
            Some(carrier) => carrier,
            // A line of the sandbox accepts messages that reach nobody.
            None if is_carrier_configured() || !carried(&access).await?.is_empty() => {
                return Err(CliError::Usage(
                    "--carrier is required, because a carrier is configured: sandbox, sendblue or bluebubbles".to_owned(),
                ));
            }
            None => CarrierName::Sandbox,
        };
        let now = SystemClock.now();
        Ok(store::lines::add(&db, &number, role.into(), carrier.into(), now).await?)
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

fn parse_number(text: &str) -> Result<PhoneNumber, CliError> {
    PhoneNumber::parse(text).map_err(|error| CliError::Usage(format!("{text:?} {error}")))
}

/// The result of one statement on the configured database.
async fn with_database<T>(
    operator: &OperatorArgs,
    statement: impl AsyncFnOnce(&Database) -> Result<T, StoreError>,
) -> Result<T, CliError> {
    let access = DatabaseAccess::connect(&operator.database).await?;
    let result = async {
        let db = access.open().await?;
        Ok(statement(&db).await?)
    }
    .await;
    access.end().await?;
    result
}

/// The lines that are not of the sandbox.
async fn carried(access: &DatabaseAccess) -> Result<Vec<(PhoneNumber, CarrierKind)>, CliError> {
    let mut connection = DbConnection::open(&access.endpoint().await?).await.map_err(StoreError::from)?;
    Ok(store::lines::carried(&mut connection).await?)
}

async fn print_urls(base: &Url, secret: &Secret, operator: &OperatorArgs) -> Result<(), CliError> {
    if secret.length() < Secret::MIN_LENGTH {
        let least = Secret::MIN_LENGTH;
        return Err(CliError::Usage(format!("the secret needs {least} characters or more")));
    }
    let access = DatabaseAccess::connect(&operator.database).await?;
    let lines = carried(&access).await;
    access.end().await?;
    let macs = lines?.into_iter().filter(|(_, carrier)| *carrier == CarrierKind::BlueBubbles);
    let mut numbers: Vec<_> = macs.map(|(number, _)| number.as_str().to_owned()).collect();
    numbers.sort_unstable();
    let base = base.as_str().trim_end_matches('/');
    for number in numbers {
        if let Some(token) = secret.of_line(&number) {
            print_secret(&format!("{base}/webhooks/bluebubbles/{number}?token={}", token.reveal()));
        }
    }
    Ok(())
}
