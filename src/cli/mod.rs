//! The command line.
//!
//! What a command was asked for (a secret, a list) is the only output on standard output, so that it can be piped; everything
//! else goes to standard error. Exit codes: 0 success, 1 failure, 2 invalid usage or configuration.

mod audit;
mod config;
mod database_access;
mod distribute;
mod erase;
mod error;
mod examples;
mod generate;
mod health;
mod identity;
mod key;
mod line;
mod migrate;
mod org;
mod output;
mod rows;
mod rule;
mod serve;
mod table;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use self::audit::AuditCommand;
use self::config::ConfigCommand;
use self::database_access::OperatorArgs;
use self::error::CliError;
use self::identity::IdentityCommand;
use self::key::KeyCommand;
use self::line::LineCommand;
use self::org::OrgCommand;
use self::output::print_error;
use self::rule::RuleCommand;
use crate::config::{FileSettings, LogArgs, ProbeArgs, ServeArgs, accept_old_variables};
use crate::telemetry::Telemetry;

/// Keeps iMessage conversations between humans and AI agents, and serves them over gRPC.
#[derive(Debug, Parser)]
#[command(version = env!("VERSION_AND_COMMIT"), args_conflicts_with_subcommands = true, after_help = examples::ALL)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
    /// TOML file with settings: the names of flags, such as `message-retention = "30d"`. Flags and variables take precedence.
    #[arg(long, env = "INKBOX_CONFIG", value_name = "FILE", global = true, help_heading = "Files")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "a process creates one")]
enum Command {
    /// Run the service (the default).
    Serve(Box<ServeArgs>),
    /// Apply the missing migrations.
    Migrate(OperatorArgs),
    /// Distribute the tables over the nodes of a Citus cluster, while the service is stopped. Can be repeated safely.
    Distribute(OperatorArgs),
    /// Manage organizations.
    #[command(subcommand, after_help = examples::ORG)]
    Org(OrgCommand),
    /// Manage API keys.
    #[command(subcommand, after_help = examples::KEY)]
    Key(KeyCommand),
    /// Manage identities, the agents of an organization.
    #[command(subcommand, after_help = examples::IDENTITY)]
    Identity(IdentityCommand),
    /// Manage contact rules: which humans an identity exchanges messages with.
    #[command(subcommand, after_help = examples::RULE)]
    Rule(RuleCommand),
    /// Manage phone numbers to send from.
    #[command(subcommand, after_help = examples::LINE)]
    Line(LineCommand),
    /// Read the audit log.
    #[command(subcommand, after_help = examples::AUDIT)]
    Audit(AuditCommand),
    /// Erase one human's data from one organization. The service may be running.
    Erase {
        #[command(flatten)]
        args: erase::EraseArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Check every invariant of the database; exit code 1 if one is violated. The service may be running.
    Verify {
        #[command(flatten)]
        args: verify::VerifyArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Query the health of a running service: exit code 0 if it is SERVING.
    Health(HealthArgs),
    /// Show the settings that are in force.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell.
    Completion { shell: Shell },
    /// Write the manual pages into a folder.
    Man {
        /// The folder; it is created if it does not exist.
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct HealthArgs {
    /// A gRPC service, `liveness`, `readiness`, or nothing for the whole server.
    #[arg(long, default_value = "", value_name = "NAME")]
    service: String,
    #[command(flatten)]
    probe: ProbeArgs,
}

/// The definition of the command line: every subcommand, flag, variable and default.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs the command that the process was started with.
pub async fn run() -> ExitCode {
    let files = match FileSettings::read(&command()) {
        Ok(files) => files,
        Err(error) => {
            print_error(&error);
            return ExitCode::from(2);
        }
    };
    let matches = files.apply(accept_old_variables(command())).try_get_matches();
    let cli = match matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches))) {
        Ok((cli, matches)) => {
            if let Some(Command::Config(ConfigCommand::Show { output, .. })) = &cli.command {
                config::show(shown(&matches), &files, *output);
                return ExitCode::SUCCESS;
            }
            cli
        }
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            error.exit()
        }
        Err(error) => {
            // Only the first paragraph, as one line: the rest of clap's message is in --help.
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
            let line = lines.by_ref().collect::<Vec<_>>().join(" ");
            print_error(line.strip_prefix("error: ").unwrap_or(&line));
            return ExitCode::from(2);
        }
    };
    match run_cli(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error.to_string());
            ExitCode::from(if matches!(error, CliError::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// The matches of a subcommand of a subcommand.
fn shown(matches: &ArgMatches) -> &ArgMatches {
    let mut inner = matches;
    while let Some((_, next)) = inner.subcommand() {
        inner = next;
    }
    inner
}

async fn run_cli(cli: Cli) -> Result<(), CliError> {
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.serve)));
    let log = match &command {
        Command::Serve(args) => Some(&args.log),
        Command::Migrate(operator)
        | Command::Distribute(operator)
        | Command::Erase { operator, .. }
        | Command::Verify { operator, .. } => Some(&operator.log),
        Command::Org(command) => Some(&command.operator().log),
        Command::Key(command) => Some(&command.operator().log),
        Command::Identity(command) => Some(&command.operator().log),
        Command::Rule(command) => Some(&command.operator().log),
        Command::Line(command) => Some(&command.operator().log),
        Command::Audit(command) => Some(&command.operator().log),
        Command::Health(_) | Command::Config(_) | Command::Completion { .. } | Command::Man { .. } => None,
    };
    // Traces are of calls, which only `serve` has.
    let with_traces = matches!(command, Command::Serve(_));
    let start = |log: &LogArgs| Telemetry::start(log.log_format, &log.log, with_traces);
    let telemetry = log.map(start).transpose().map_err(CliError::Usage)?;
    let done = dispatch(command).await;
    if let Some(telemetry) = telemetry {
        telemetry.stop().await;
    }
    done
}

async fn dispatch(command: Command) -> Result<(), CliError> {
    match command {
        Command::Serve(args) => Box::pin(serve::serve(*args)).await,
        Command::Migrate(operator) => migrate::migrate(&operator.database).await,
        Command::Distribute(operator) => distribute::distribute(&operator.database).await,
        Command::Org(command) => command.run().await,
        Command::Key(command) => command.run().await,
        Command::Identity(command) => command.run().await,
        Command::Rule(command) => command.run().await,
        Command::Line(command) => command.run().await,
        Command::Audit(command) => command.run().await,
        Command::Erase { args, operator } => erase::erase(&operator.database, args).await,
        Command::Verify { args, operator } => verify::verify(&operator.database, &args).await,
        Command::Health(args) => health::check(&args.probe, args.service).await,
        // Answered by `run`, which has the sources of the values.
        Command::Config(ConfigCommand::Show { .. }) => Ok(()),
        Command::Completion { shell } => {
            generate::completion(shell);
            Ok(())
        }
        Command::Man { folder } => generate::man(&folder),
    }
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
