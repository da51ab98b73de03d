use std::fmt::Write as _;

use clap::{Arg, Command};

use super::assert_frozen;

/// One line an argument: command, flags or position, variable, default, and the values it is limited to.
fn describe(path: &str, argument: &Arg, text: &mut String) {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let aliases = argument.get_all_aliases().unwrap_or_default();
    let aliases = aliases.into_iter().map(|alias| format!("--{alias}"));
    let mut names: Vec<_> = short.into_iter().chain(long).chain(aliases).collect();
    if names.is_empty() {
        names.push(format!("<{}>", argument.get_id()));
    }
    write!(text, "{path} {}", names.join(",")).unwrap();
    if let Some(variable) = argument.get_env() {
        write!(text, " env={}", variable.display()).unwrap();
    }
    for (what, values) in [
        ("default", argument.get_default_values().iter().map(|value| value.display().to_string()).collect()),
        ("value", argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect()),
        ("one-of", argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()),
    ] {
        let values: Vec<String> = values;
        if !values.is_empty() {
            write!(text, " {what}={}", values.join("|")).unwrap();
        }
    }
    if argument.is_required_set() {
        text.push_str(" required");
    }
    text.push('\n');
}

fn describe_all(path: &str, command: &Command, text: &mut String) {
    for argument in command.get_arguments() {
        describe(path, argument, text);
    }
    for subcommand in command.get_subcommands() {
        describe_all(&format!("{path} {}", subcommand.get_name()), subcommand, text);
    }
}

#[test]
fn every_command_flag_variable_and_default() {
    let mut command = inkbox_imessage::cli::command();
    command.build();
    let mut text = String::new();
    describe_all("inkbox-imessage", &command, &mut text);
    assert_frozen("settings.txt", &text);
}
