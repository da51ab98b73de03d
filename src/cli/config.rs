//! `config`: the settings that are in force.

use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::Value;

use super::table::{OutputArgs, Table};
use crate::config::{FileSettings, ServeArgs};

/// In place of a secret.
const HIDDEN: &str = "(set)";

#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// Print each setting of `serve`, its value and where it comes from. Secrets are not printed.
    Show {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        serve: Box<ServeArgs>,
    },
}

/// Prints the settings as the command line was parsed: `matches` are those of `config show`.
pub(super) fn show(matches: &ArgMatches, files: &FileSettings, output: OutputArgs) {
    let command = super::command();
    let settings = command.find_subcommand("serve").into_iter().flat_map(clap::Command::get_arguments);
    let rows = settings.filter_map(|setting| {
        let (flag, variable) = (setting.get_long()?, setting.get_env()?.to_string_lossy());
        let id = setting.get_id().as_str();
        let given: Option<Vec<_>> =
            matches.get_raw(id).map(|values| values.map(|value| value.to_string_lossy()).collect());
        let value = given.map(|values| values.join(",")).filter(|value| !value.is_empty());
        let value = if setting.is_hide_env_values_set() { value.map(|_| HIDDEN.to_owned()) } else { value };
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => format!("--{flag}"),
            Some(ValueSource::EnvVariable) => variable.clone().into_owned(),
            _ => files.origin(&variable).map_or_else(|| "default".to_owned(), name),
        };
        Some([flag.into(), Value::from(value), source.into()])
    });
    Table::new(["setting", "value", "source"], rows).print(output);
}

fn name(file: &Path) -> String {
    file.display().to_string()
}
