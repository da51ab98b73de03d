//! The command line. Secrets go to standard output alone; everything else goes to standard error. Exit codes: 0 done,
//! 1 failed, 2 wrong usage or configuration.

mod distribute;
mod erase;
mod health;
mod operator;
mod serve;
mod verify;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use uuid::Uuid;

use crate::config::{DatabaseArgs, LogArgs, ProbeArgs, ServeArgs};
use crate::domain::{ApiKeyScope, CarrierKind, LineRole};
use crate::telemetry::Telemetry;

/// Keeps iMessage conversations between humans and AI agents, and serves them over gRPC.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "a process makes one")]
enum Command {
    /// Serve (the default).
    Serve(Box<ServeArgs>),
    /// Apply the migrations that are missing.
    Migrate(OperatorArgs),
    /// Spread the tables over the nodes of a Citus cluster; with the service stopped. Safe to repeat.
    Distribute(OperatorArgs),
    /// Organizations.
    #[command(subcommand)]
    Org(OrgCommand),
    /// API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Phone numbers to send from.
    #[command(subcommand)]
    Line(LineCommand),
    /// Erase one human's data of one organization; the service may go on meanwhile.
    Erase {
        #[command(flatten)]
        args: erase::EraseArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Check every invariant of the database; the service may go on meanwhile. Exit 1 when one does not hold.
    Verify {
        #[command(flatten)]
        args: verify::VerifyArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Ask a running service for its health: exit 0 when SERVING.
    Health(HealthArgs),
}

#[derive(Debug, clap::Args)]
struct OperatorArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum OrgCommand {
    /// Make an organization and its first admin key; prints the key's secret.
    Create {
        /// Its id, such as `org_acme`.
        id: String,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key; prints its secret.
    Create {
        /// What the key may do.
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
        operator: OperatorArgs,
    },
    /// Revoke a key, for good.
    Revoke {
        /// Its id.
        id: Uuid,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    Admin,
    Identity,
    Router,
}

impl From<Scope> for ApiKeyScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Admin => Self::Admin,
            Scope::Identity => Self::Identity,
            Scope::Router => Self::Router,
        }
    }
}

#[derive(Debug, Subcommand)]
enum LineCommand {
    /// Add a phone number that we send from.
    Add {
        /// In E.164.
        number: String,
        /// What it is for.
        #[arg(long)]
        role: Role,
        /// Who takes what is sent from it to the phones. Cannot be changed later.
        #[arg(long, default_value = "sandbox")]
        carrier: CarrierName,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
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
enum CarrierName {
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

#[derive(Debug, clap::Args)]
struct HealthArgs {
    /// A service of the contract, `liveness`, `readiness`, or nothing for the whole server.
    #[arg(long, default_value = "", value_name = "NAME")]
    service: String,
    #[command(flatten)]
    probe: ProbeArgs,
}

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was asked for cannot be read.
    #[error("{0}")]
    Usage(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The command line as clap sees it: every subcommand, flag, variable and default.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command that the process was started with.
pub async fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            error.exit()
        }
        Err(error) => {
            // One line: what clap adds to it is in --help.
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
            say(&lines.by_ref().collect::<Vec<_>>().join(" "));
            return ExitCode::from(2);
        }
    };
    match obey(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {failure}"));
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

async fn obey(cli: Cli) -> Result<(), Failure> {
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.serve)));
    let log = match &command {
        Command::Serve(args) => Some(&args.log),
        Command::Migrate(operator)
        | Command::Distribute(operator)
        | Command::Erase { operator, .. }
        | Command::Verify { operator, .. }
        | Command::Org(OrgCommand::Create { operator, .. })
        | Command::Key(KeyCommand::Create { operator, .. } | KeyCommand::Revoke { operator, .. })
        | Command::Line(LineCommand::Add { operator, .. }) => Some(&operator.log),
        Command::Health(_) => None,
    };
    // Traces are of calls: the commands of operators have none.
    let with_traces = matches!(command, Command::Serve(_));
    let start = |log: &LogArgs| Telemetry::start(log.log_format, &log.log, with_traces);
    let telemetry = log.map(start).transpose().map_err(Failure::Usage)?;
    let done = carry_out(command).await;
    if let Some(telemetry) = telemetry {
        telemetry.stop().await;
    }
    done
}

async fn carry_out(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => Box::pin(serve::serve(*args)).await,
        Command::Migrate(operator) => operator::migrate(&operator.database).await,
        Command::Distribute(operator) => distribute::distribute(&operator.database).await,
        Command::Org(OrgCommand::Create { id, operator }) => {
            operator::create_org(&operator.database, id).await
        }
        Command::Key(KeyCommand::Create { scope, org, identity, label, operator }) => {
            let key = operator::WantedKey { scope: scope.into(), org, identity, label };
            operator::create_key(&operator.database, key).await
        }
        Command::Key(KeyCommand::Revoke { id, operator }) => {
            operator::revoke_key(&operator.database, id.into()).await
        }
        Command::Line(LineCommand::Add { number, role, carrier, operator }) => {
            operator::add_line(&operator.database, &number, role.into(), carrier.into()).await
        }
        Command::Erase { args, operator } => erase::erase(&operator.database, args).await,
        Command::Verify { args, operator } => verify::verify(&operator.database, &args).await,
        Command::Health(args) => health::check(&args.probe, args.service).await,
    }
}

/// Tells people something.
#[expect(clippy::print_stderr, reason = "the command line's own voice")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Hands a secret over, alone on standard output, so that it can be piped.
#[expect(clippy::print_stdout, reason = "the one thing that goes to standard output")]
fn hand_over(secret: &str) {
    println!("{secret}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_variable_and_its_flag_are_in_the_configuration_page() {
        let page = include_str!("../../docs/configuration.md");
        let mut commands = vec![super::command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            for setting in command.get_arguments() {
                let (Some(variable), Some(flag)) = (setting.get_env(), setting.get_long()) else { continue };
                for name in [format!("`{}`", variable.display()), format!("`--{flag}`")] {
                    assert!(page.contains(&name), "{name} is not in docs/configuration.md");
                }
            }
        }
    }
}
