//! Environment variables that were renamed. The old name still works for one release, like the old name of a flag, which is
//! an `alias`.

use std::env;

use clap::Command;

/// Old and new names.
const RENAMED: [(&str, &str); 7] = [
    ("INKBOX_CALLS_IN_FLIGHT", "INKBOX_MAX_CONCURRENT_CALLS"),
    ("INKBOX_CALL_WAIT", "INKBOX_DB_QUEUE_TIMEOUT"),
    ("INKBOX_COMPRESS_FROM", "INKBOX_COMPRESSION_THRESHOLD"),
    ("INKBOX_LINE_CALLS", "INKBOX_CARRIER_CONCURRENCY"),
    ("INKBOX_LINE_BREAKER_FAULTS", "INKBOX_CARRIER_BREAKER_MIN_CALLS"),
    ("INKBOX_LINE_BREAKER_PAUSE", "INKBOX_CARRIER_BREAKER_PAUSE"),
    ("INKBOX_LINE_TIMEOUT", "INKBOX_CARRIER_TIMEOUT"),
];

/// The variables that are set by their old name alone, with the new name.
pub fn old_variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    used(|name| env::var_os(name).is_some())
}

/// Whether a variable is the old name of another one.
pub(super) fn is_old(variable: &str) -> bool {
    RENAMED.iter().any(|(old, _)| *old == variable)
}

/// Makes a command read each variable by its old name where only that is set.
#[must_use]
pub fn accept_old_variables(command: Command) -> Command {
    old_variables().fold(command, |command, (old, new)| rename(command, old, new))
}

fn used(is_set: impl Fn(&str) -> bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    RENAMED.into_iter().filter(move |(old, new)| is_set(old) && !is_set(new))
}

/// In the command and all of its subcommands.
fn rename(command: Command, old: &'static str, new: &'static str) -> Command {
    command
        .mut_args(|arg| if arg.get_env().is_some_and(|name| name == new) { arg.env(old) } else { arg })
        .mut_subcommands(|subcommand| rename(subcommand, old, new))
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::{RENAMED, rename, used};

    fn has_variable(command: &Command, name: &str) -> bool {
        command.get_arguments().any(|arg| arg.get_env().is_some_and(|variable| variable == name))
    }

    #[test]
    fn every_old_variable_is_read_by_every_command_that_reads_the_new_one() {
        for (old, new) in RENAMED {
            let command = crate::cli::command();
            assert!(!has_variable(&command, old) && has_variable(&command, new), "{new}");
            let renamed = rename(command, old, new);
            let serve = renamed.find_subcommand("serve").expect("serve");
            for command in [&renamed, serve] {
                assert!(has_variable(command, old) && !has_variable(command, new), "{old}");
            }
        }
    }

    #[test]
    fn an_old_variable_is_read_only_if_the_new_one_is_not_set() {
        let (old, new) = RENAMED[0];
        assert_eq!(used(|name| name == old).collect::<Vec<_>>(), [(old, new)]);
        assert_eq!(used(|name| name == old || name == new).count(), 0);
        assert_eq!(used(|name| name == new).count(), 0);
    }
}
