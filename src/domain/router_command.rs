//! What a human can ask of the router line.

use super::Handle;

/// A text to the router line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterCommand {
    /// `connect @handle`.
    Connect(Handle),
    /// `disconnect @handle`.
    Disconnect(Handle),
    /// `list`: whom am I connected to?
    List,
    /// Anything else.
    Help,
}

impl RouterCommand {
    /// Case, blanks and the `@` do not matter; anything that is not a whole command is a call for help.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        // `connect@sales` and `connect @ sales`: the first @ parts the words like a blank.
        let spaced = text.replacen('@', " @ ", 1);
        let mut words = spaced.split_whitespace();
        let verb = words.next().unwrap_or_default().to_lowercase();
        let argument = match words.next() {
            Some("@") => words.next().map(|name| (name, words.next())),
            other => other.map(|name| (name, words.next())),
        };
        match (verb.as_str(), argument) {
            ("list", None) => Self::List,
            ("connect", Some((name, None))) => Handle::parse(name).map_or(Self::Help, Self::Connect),
            ("disconnect", Some((name, None))) => Handle::parse(name).map_or(Self::Help, Self::Disconnect),
            _ => Self::Help,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Handle, RouterCommand};

    #[test]
    fn case_blanks_and_at_sign_do_not_matter() {
        let sales = Handle::parse("sales").expect("a handle");
        for text in
            ["connect @sales", "connect sales", "  CONNECT\t@sales \n", "Connect @ sales", "connect@sales"]
        {
            assert_eq!(RouterCommand::parse(text), RouterCommand::Connect(sales.clone()), "{text:?}");
        }
        for text in ["disconnect @sales", "DISCONNECT sales"] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::Disconnect(sales.clone()), "{text:?}");
        }
        for text in ["list", " LIST ", "List\n"] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::List, "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_help() {
        for text in [
            "",
            " ",
            "hello",
            "connect",
            "connect @",
            "connect @a b",
            "list all",
            "connectsales",
            "help",
            "@sales",
        ] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::Help, "{text:?}");
        }
    }
}
