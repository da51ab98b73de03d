//! Commands to the router line.

use super::Handle;

/// A text to the router line, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterCommand {
    /// `connect @handle`.
    Connect(Handle),
    /// `disconnect @handle`.
    Disconnect(Handle),
    /// `list`: the agents to whom the human is connected.
    List,
    /// Any other text.
    Help,
}

impl RouterCommand {
    /// Case, white space and the `@` before a handle are ignored. A text that is not a complete command reads as `Help`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let verb_end = text.find(|c: char| c.is_whitespace() || c == '@').unwrap_or(text.len());
        let (verb, argument) = text.split_at(verb_end);
        let argument = argument.trim_start();
        // `connect@sales` and `connect @ sales`: the first @ after the verb is syntax, any other belongs to the handle.
        let name = argument.strip_prefix('@').map_or(argument, str::trim_start);
        let handle = Handle::parse(&format!("@{name}"));
        match (verb.to_lowercase().as_str(), handle) {
            ("list", _) if argument.is_empty() => Self::List,
            ("connect", Ok(handle)) => Self::Connect(handle),
            ("disconnect", Ok(handle)) => Self::Disconnect(handle),
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
    fn an_at_sign_inside_belongs_to_the_handle() {
        let mail = Handle::parse("sales@acme.com").expect("a handle");
        for text in ["connect sales@acme.com", "connect @sales@acme.com", "connect@sales@acme.com"] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::Connect(mail.clone()), "{text:?}");
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
            "connect @ @ a",
            "list all",
            "connectsales",
            "help",
            "@sales",
        ] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::Help, "{text:?}");
        }
    }
}
