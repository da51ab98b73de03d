//! Commands to the router line.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use super::Handle;

/// A text to the router line, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterCommand {
    /// `connect @handle`. The handles that the text can mean: as written, and without what people add to a command.
    Connect(Vec<Handle>),
    /// `disconnect @handle`, likewise.
    Disconnect(Vec<Handle>),
    /// `list`: the agents to whom the human is connected.
    List,
    /// Any other text.
    Help,
}

/// Quotation marks around a command that was copied.
const QUOTATION_MARKS: [char; 9] = ['"', '\'', '“', '”', '„', '‘', '’', '«', '»'];

impl RouterCommand {
    /// Case, white space and the `@` before a handle are ignored, and so are invisible characters, words of politeness,
    /// quotation marks and the punctuation of a sentence. Since a handle may contain some of these, it is also taken as it
    /// is written. A text that is not a complete command reads as `Help`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match (Self::parse_exactly(text), Self::parse_exactly(&without_additions(text))) {
            (Self::Connect(written), Self::Connect(meant)) => Self::Connect(distinct(written, meant)),
            (Self::Disconnect(written), Self::Disconnect(meant)) => {
                Self::Disconnect(distinct(written, meant))
            }
            (Self::Help, command) | (command, _) => command,
        }
    }

    fn parse_exactly(text: &str) -> Self {
        let text = text.trim();
        let verb_end = text.find(|c: char| c.is_whitespace() || c == '@').unwrap_or(text.len());
        let (verb, argument) = text.split_at(verb_end);
        let argument = argument.trim_start();
        // `connect@sales` and `connect @ sales`: the first @ after the verb is syntax, any other belongs to the handle.
        let name = argument.strip_prefix('@').map_or(argument, str::trim_start);
        let handle = Handle::parse(&format!("@{name}"));
        match (verb.to_lowercase().as_str(), handle) {
            ("list", _) if argument.is_empty() => Self::List,
            ("connect", Ok(handle)) => Self::Connect(vec![handle]),
            ("disconnect", Ok(handle)) => Self::Disconnect(vec![handle]),
            _ => Self::Help,
        }
    }
}

fn distinct(mut written: Vec<Handle>, meant: Vec<Handle>) -> Vec<Handle> {
    written.extend(meant);
    written.dedup();
    written
}

/// A command without what people add to it.
pub(super) fn without_additions(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    let text = visible.replace('\u{ff20}', "@");
    let is_around = |c: char| c.is_whitespace() || QUOTATION_MARKS.contains(&c);
    let text = text.trim_matches(is_around).trim_end_matches(|c| is_around(c) || matches!(c, '.' | '!'));
    let text = without_first_word(text, "please");
    let Some((verb, argument)) = text.split_once(char::is_whitespace) else { return text.to_owned() };
    let argument = without_first_word(argument.trim_start(), "to").trim_matches(QUOTATION_MARKS);
    format!("{verb} {argument}")
}

/// Characters that come along when text is copied: those that only format, and the place of a file.
fn is_invisible(c: char) -> bool {
    c.general_category() == GeneralCategory::Format || c == '\u{fffc}'
}

/// The text after its first word, if that is `word` and another word follows.
fn without_first_word<'a>(text: &'a str, word: &str) -> &'a str {
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) if first.eq_ignore_ascii_case(word) && !rest.trim().is_empty() => {
            rest.trim_start()
        }
        _ => text,
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
            assert_eq!(RouterCommand::parse(text), RouterCommand::Connect(vec![sales.clone()]), "{text:?}");
        }
        for text in ["disconnect @sales", "DISCONNECT sales"] {
            assert_eq!(
                RouterCommand::parse(text),
                RouterCommand::Disconnect(vec![sales.clone()]),
                "{text:?}"
            );
        }
        for text in ["list", " LIST ", "List\n"] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::List, "{text:?}");
        }
    }

    #[test]
    fn what_people_add_to_a_command_does_not_matter() {
        let sales = Handle::parse("sales").expect("a handle");
        for text in [
            "connect @sales.",
            "connect @sales!",
            "\u{200b}connect @sales\u{feff}",
            "connect \u{fffc}@sales",
            "connect \u{ff20}sales",
            "“connect @sales”",
            "connect \"@sales\"",
            "please connect @sales",
            "Please connect to @sales.",
            "connect to sales",
        ] {
            let RouterCommand::Connect(handles) = RouterCommand::parse(text) else { panic!("{text:?}") };
            assert_eq!(handles.last(), Some(&sales), "{text:?}");
        }
        let as_written = RouterCommand::parse("connect @sales.");
        let dotted = Handle::parse("sales.").expect("a handle");
        assert_eq!(as_written, RouterCommand::Connect(vec![dotted, sales]), "a handle may end with a dot");
        for text in ["list.", "List!", "please list", "\u{200b}list"] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::List, "{text:?}");
        }
        let to = Handle::parse("to").expect("a handle");
        for text in ["connect to", "connect @to"] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::Connect(vec![to.clone()]), "{text:?}");
        }
    }

    #[test]
    fn an_at_sign_inside_belongs_to_the_handle() {
        let mail = Handle::parse("sales@acme.com").expect("a handle");
        for text in ["connect sales@acme.com", "connect @sales@acme.com", "connect@sales@acme.com"] {
            assert_eq!(RouterCommand::parse(text), RouterCommand::Connect(vec![mail.clone()]), "{text:?}");
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
