use chrono::DateTime;

use super::{File, Sender, Words, line_number, sender, sent_at, transport};
use crate::domain::Transport;

fn text(text: &str) -> Option<String> {
    Words { text: Some(text), ..Words::default() }.text()
}

#[test]
fn marks_of_files_are_no_words() {
    assert_eq!(text("\u{fffc}Is this the right part?").as_deref(), Some("Is this the right part?"));
    assert_eq!(text("before \u{fffc} after").as_deref(), Some("before  after"));
    assert_eq!(text("caption\n\u{fffc}").as_deref(), Some("caption"));
    for nothing in ["", " \n", "\u{fffc}", "\u{fffc} \u{fffc}", "\0"] {
        assert_eq!(text(nothing), None, "{nothing:?}");
    }
    assert_eq!(text("a\0b").as_deref(), Some("ab"));
    assert_eq!(text("  kept as it is ").as_deref(), Some("  kept as it is "));
}

#[test]
fn the_mark_of_a_card_is_no_word_and_a_damaged_character_stays() {
    assert_eq!(text("\u{fffd}"), None);
    assert_eq!(text("caf\u{fffd}").as_deref(), Some("caf\u{fffd}"));
    let card = Words { text: Some("\u{fffd} Vote"), is_card: true, ..Words::default() };
    assert_eq!(card.text().as_deref(), Some("Vote"));
}

#[test]
fn a_subject_is_the_first_line() {
    let words = |subject, text| Words { subject, text, is_card: false }.text();
    assert_eq!(words(Some("Call me"), Some("at eight")).as_deref(), Some("Call me\nat eight"));
    assert_eq!(words(Some("Call me"), None).as_deref(), Some("Call me"));
    assert_eq!(words(Some(" "), Some("at eight")).as_deref(), Some("at eight"));
}

#[test]
fn files_that_an_agent_cannot_use_are_left_out() {
    let url = || "https://storage.example/a".to_owned();
    assert!(File { url: url(), is_hidden: true, ..File::default() }.media().is_none());
    let preview = File { url: url(), name: Some("X.pluginPayloadAttachment"), ..File::default() };
    assert!(preview.media().is_none());
    let long = File { url: format!("https://storage.example/{}", "a".repeat(9_000)), ..File::default() };
    assert!(long.media().is_none());
    let signed = File { url: format!("https://storage.example/a?{}", "s".repeat(5_000)), ..File::default() };
    assert!(signed.media().is_some());
}

#[test]
fn a_missing_type_follows_from_the_name_of_the_file() {
    let content_type = |url: &str, name, content_type| {
        let file = File { url: url.to_owned(), name, content_type, ..File::default() };
        file.media().expect("a file").content_type
    };
    let memo = content_type("bluebubbles:attachment/1", Some("Audio Message.caf"), None);
    assert_eq!(memo.as_deref(), Some("audio/x-caf"));
    let signed = content_type("https://storage.example/a/photo.JPEG?sig=x.png", None, None);
    assert_eq!(signed.as_deref(), Some("image/jpeg"));
    assert_eq!(
        content_type("https://x.example/a.png", None, Some("image/heic")).as_deref(),
        Some("image/heic")
    );
    assert_eq!(content_type("https://x.example/a", None, None), None);
}

#[test]
fn times_that_stand_for_none_are_no_times() {
    let at = |seconds| sent_at(DateTime::from_timestamp(seconds, 0));
    for none in [0, 978_307_200, -62_135_596_800] {
        assert_eq!(at(none), None, "{none}");
    }
    assert!(at(1_795_569_000).is_some());
}

#[test]
fn only_known_names_of_transports_count() {
    assert_eq!(transport("iMessage"), Some(Transport::IMessage));
    assert_eq!(transport("iMessageLite"), Some(Transport::IMessage));
    assert_eq!((transport("SMS"), transport("rcs")), (Some(Transport::Sms), Some(Transport::Rcs)));
    assert_eq!((transport("any"), transport("")), (None, None));
}

#[test]
fn a_sender_is_the_first_address_and_has_a_number() {
    let sender = |addresses: &[Option<&str>]| sender(addresses.iter().copied(), "+12025550101");
    let number = |text: &str| Sender::Number(text.to_owned());
    assert_eq!(sender(&[Some("+12025550147")]), number("+12025550147"));
    assert_eq!(sender(&[None, Some(""), Some("+12025550147")]), number("+12025550147"));
    for notation in [" +1 (202) 555-0147", "202.555.0147", "tel:+1-202-555-0147", "001 202 555 0147"] {
        assert_eq!(sender(&[Some(notation)]), number("+12025550147"), "{notation}");
    }
    for nobody in
        ["someone@example.com", "mailto:someone@example.com", "72975", "tel:72975", "ACME", "+1-800-ACME"]
    {
        assert!(matches!(sender(&[Some(nobody)]), Sender::NoNumber(_)), "{nobody}");
    }
    assert_eq!(sender(&[None]), number(""), "the validation names the missing field");
    assert_eq!(sender(&[Some("+")]), number("+"), "the validation names the malformed field");
}

#[test]
fn a_line_is_read_in_each_notation_with_a_country() {
    for notation in ["+12025550101", "+1 202-555-0101", "tel:+12025550101", "0012025550101"] {
        assert_eq!(line_number(notation), "+12025550101", "{notation}");
    }
    assert_eq!(line_number("202 555 0101"), "202 555 0101", "the validation names the field");
}
