//! Values of settings that are needed before the command line is parsed, or although it is invalid.

use std::env;

/// The value of a flag, or of its variable if the flag is absent.
pub(super) fn requested(flag: &str, variable: &str) -> Option<String> {
    let arguments = env::args_os().filter_map(|argument| argument.into_string().ok());
    of_flag(flag, arguments).or_else(|| env::var(variable).ok())
}

fn of_flag(flag: &str, mut arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut value = None;
    while let Some(argument) = arguments.next() {
        if argument == flag {
            value = arguments.next();
        } else if let Some(given) = argument.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
            value = Some(given.to_owned());
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::of_flag;

    #[test]
    fn the_last_flag_counts_in_both_notations() {
        for (line, value) in [
            ("serve", None),
            ("serve --config a.toml", Some("a.toml")),
            ("serve --config=a.toml --config b.toml", Some("b.toml")),
            ("serve --configs a.toml", None),
            ("serve --config", None),
        ] {
            let arguments = line.split(' ').map(str::to_owned);
            assert_eq!(of_flag("--config", arguments).as_deref(), value, "{line}");
        }
    }
}
