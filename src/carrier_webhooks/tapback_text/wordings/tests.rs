use std::collections::BTreeSet;

use super::{TABLE, WORDINGS, lines};
use crate::carrier_webhooks::tapback_text::parse;
use crate::domain::ReactionType;
use crate::store::tapback_texts::Quoted;

/// A number in a country whose people speak the language, where this matters.
fn sender(language: &str) -> &'static str {
    if language == "pt-PT" { "+351210000000" } else { "+15551230001" }
}

/// The language, change, reaction and wording of each line.
fn rows() -> Vec<[&'static str; 4]> {
    let row = |line: &'static str| {
        let columns: Vec<_> = line.split('\t').collect();
        let [language, change, reaction, wording, source] = columns[..] else {
            panic!("five columns: {line}")
        };
        assert!(!source.is_empty() && !wording.is_empty(), "{line}");
        [language, change, reaction, wording]
    };
    lines(TABLE).map(row).collect()
}

#[test]
fn every_line_of_the_table_is_used() {
    assert_eq!(WORDINGS.all.len() + WORDINGS.files.len(), rows().len());
    let distinct: BTreeSet<_> =
        rows().iter().map(|[language, _, _, wording]| (*language, *wording)).collect();
    assert_eq!(distinct.len(), rows().len(), "a line is there twice");
}

#[test]
fn every_wording_is_read_as_its_reaction_and_as_no_other() {
    for message in ["see you at eight", "“no” — he said", "また明日", "!", "נתראה בשמונה", "l’été d'hier…"]
    {
        for [language, change, reaction, wording] in rows() {
            if change == "file" {
                continue;
            }
            let text = wording.replace("{message}", message).replace("{emoji}", "👍🏽");
            let words = parse(&text, sender(language)).unwrap_or_else(|| panic!("{text}")).words;
            let name = format!("{:?}", words.reaction).to_lowercase().replace("custom", "emoji");
            assert_eq!((name.as_str(), words.removed), (reaction, change == "remove"), "{language}: {text}");
            let emoji = (words.reaction == ReactionType::Custom).then_some("👍🏽");
            assert_eq!(words.custom_emoji.as_deref(), emoji, "{language}: {text}");
            let Quoted::Text { whole, .. } = words.quoted else { panic!("{text}") };
            assert_eq!(whole, message, "{language}: {text}");
        }
    }
}

#[test]
fn a_wording_within_a_sentence_is_none() {
    for [_, change, _, wording] in rows() {
        let text = wording.replace("{message}", "ok").replace("{emoji}", "🎉");
        if change == "file" {
            continue;
        }
        // Without quotation marks, what follows is part of the message.
        let has_end = wording.trim_end_matches('.').ends_with(|c: char| c != '}');
        for text in [format!("I {text}"), format!("{text} more")] {
            assert!(!has_end || parse(&text, "").is_none(), "{text}");
        }
    }
}

#[test]
fn every_language_adds_and_removes() {
    let rows = rows();
    for language in
        ["en", "de", "fr", "es", "pt-BR", "pt-PT", "it", "nl", "ja", "ko", "zh-Hans", "zh-HK", "zh-TW"]
    {
        for change in ["add", "remove"] {
            assert!(rows.iter().any(|[of, kind, ..]| (*of, *kind) == (language, change)), "{language}");
        }
    }
}
