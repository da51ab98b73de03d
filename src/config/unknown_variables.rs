//! Environment variables that look like settings and are none, most likely because they are misspelt.

use std::env;

use clap::Command;

use super::files::{FILE_SUFFIX, secrets};
use super::old_variables::is_old;

const PREFIX: &str = "INKBOX_";
/// Kubernetes sets variables such as `INKBOX_IMESSAGE_WEBHOOKS_SERVICE_HOST` for the Services of a namespace.
const KUBERNETES_PREFIX: &str = "INKBOX_IMESSAGE_";

/// The variables of this process with the prefix of settings that no argument of the command or its subcommands reads.
#[must_use]
pub fn unknown_variables(command: &Command) -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    unknown(command, names)
}

fn unknown(command: &Command, names: impl Iterator<Item = String>) -> Vec<String> {
    names
        .filter(|name| name.starts_with(PREFIX) && !name.starts_with(KUBERNETES_PREFIX))
        .filter(|name| !is_old(name) && !reads(command, name) && !is_file_of_secret(command, name))
        .collect()
}

fn is_file_of_secret(command: &Command, variable: &str) -> bool {
    variable
        .strip_suffix(FILE_SUFFIX)
        .is_some_and(|name| secrets(command).iter().any(|secret| secret == name))
}

fn reads(command: &Command, variable: &str) -> bool {
    command.get_arguments().any(|argument| argument.get_env().is_some_and(|name| name == variable))
        || command.get_subcommands().any(|subcommand| reads(subcommand, variable))
}

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn a_variable_is_unknown_if_no_command_reads_it_under_its_new_or_old_name() {
        let names = [
            "INKBOX_DRAIN_LIMIT",
            "INKBOX_DRAIN_LIMITS",
            "INKBOX_HEALTH_CA",
            "INKBOX_BLUEBUBBLES_WEBHOOK_SECRET_FILE",
            "INKBOX_LINE_TIMEOUT",
            "INKBOX_IMESSAGE_WEBHOOKS_PORT",
            "DATABASE_URI",
        ];
        let found = unknown(&crate::cli::command(), names.into_iter().map(str::to_owned));
        assert_eq!(found, ["INKBOX_DRAIN_LIMITS"]);
    }
}
