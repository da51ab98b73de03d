//! Property tests of what humans type: phone numbers and router commands.

use super::{Handle, PhoneNumber, RouterCommand};
use crate::fuzzing::{over_texts, text};

/// A second implementation of E.164, independent of the parser: `+`, one digit other than zero, and 1 to 14 more digits.
fn is_e164(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    matches!(characters.as_slice(), ['+', '1'..='9', rest @ ..]
        if (1..=14).contains(&rest.len()) && rest.iter().all(char::is_ascii_digit))
}

fn check_forms(number: &PhoneNumber) {
    let canonical = number.clone().canonical();
    assert!(is_e164(canonical.as_str()));
    assert_eq!(canonical.clone().canonical(), canonical, "the canonical form is final");
    let forms = number.forms();
    assert_eq!(forms.first(), Some(&canonical));
    assert!(forms.into_iter().all(|form| form.canonical() == canonical), "all forms are equivalent");
}

#[test]
fn phone_numbers() {
    over_texts("phone_numbers", |input, _| {
        let given = text(input);
        let parsed = PhoneNumber::parse(&given);
        assert_eq!(parsed.is_ok(), is_e164(&given));
        if let Ok(number) = parsed {
            assert_eq!(number.as_str(), given, "nothing is trimmed or guessed");
            assert_eq!(PhoneNumber::parse(number.as_str()).as_ref(), Ok(&number));
            assert!(!format!("{number:?}").contains(|c: char| c.is_ascii_digit()));
            check_forms(&number);
        }
        let line = PhoneNumber::from("+12025550101".to_owned());
        if let Ok(number) = PhoneNumber::from_notation(&given, Some(&line)) {
            assert!(is_e164(number.as_str()));
        }
    });
}

/// Invariants of every accepted handle.
fn check_handle(handle: &Handle) {
    let name = handle.as_given();
    assert!((1..=Handle::MAX_CHARACTERS).contains(&name.chars().count()));
    assert!(!name.starts_with('@') && !name.contains(|c: char| c.is_whitespace() || c.is_control()));
    assert_eq!(Handle::parse(name).as_ref(), Ok(handle), "round trip");
    assert_eq!(Handle::parse(&format!("@{name}")).as_ref(), Ok(handle), "with and without @");
    assert_eq!(handle.key().to_lowercase(), handle.key(), "the key is in lower case");
}

#[test]
fn router_commands() {
    over_texts("router_commands", |input, _| {
        let given = text(input);
        let command = RouterCommand::parse(&given);
        assert_eq!(
            RouterCommand::parse(&format!(" \t{given}\n")),
            command,
            "surrounding white space is ignored"
        );
        let (verb, handles) = match &command {
            RouterCommand::Connect(handles) => ("connect", handles),
            RouterCommand::Disconnect(handles) => ("disconnect", handles),
            RouterCommand::List | RouterCommand::Help => return,
        };
        assert!((1..=2).contains(&handles.len()));
        for handle in handles {
            check_handle(handle);
            for again in [
                format!("{verb} @{}", handle.as_given()),
                format!("{verb}@{}", handle.as_given()),
                format!("{} @ {}", verb.to_uppercase(), handle.as_given()),
            ] {
                let (RouterCommand::Connect(again) | RouterCommand::Disconnect(again)) =
                    RouterCommand::parse(&again)
                else {
                    panic!("{again}")
                };
                assert_eq!(&again[0], handle, "a handle as it is written comes first");
            }
        }
    });
}
