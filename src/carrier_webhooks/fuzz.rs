//! Whatever carriers deliver: it is read without a panic, and what passes the checks keeps every documented bound.

use std::cell::Cell;

use chrono::{DateTime, Datelike as _, Utc};
use rand::rngs::StdRng;
use serde_json::Value;

use super::event::Event;
use super::{bluebubbles, sendblue, tapback_text};
use crate::domain::{DeliveryStatus, PhoneNumber, ReactionType, TEXT_LIMIT};
use crate::error::Error;
use crate::fuzzing::{changed, corpus, json, once_in, over, over_texts, pick, text};
use crate::messaging::inbound::EMOJI_LIMIT;
use crate::store::tapback_texts::Quoted;
use crate::validation::Violations;

#[test]
fn tapback_texts() {
    over_texts("tapback_texts", |input, _| {
        let said = text(input);
        let read = tapback_text::parse(&said);
        assert_eq!(tapback_text::parse(&format!("\n {said} ")), read, "blanks around do not matter");
        if let Some(words) = &read {
            assert_eq!(words.reaction == ReactionType::Custom, words.custom_emoji.is_some());
            if let Some(emoji) = &words.custom_emoji {
                assert!(emoji.chars().count() <= EMOJI_LIMIT && !emoji.is_ascii(), "{emoji}");
                assert!(!emoji.contains(char::is_alphabetic), "a word is no emoji");
            }
            if let Quoted::Text { whole, beginning } = &words.quoted {
                assert!(!whole.trim().is_empty() && said.contains(whole.as_str()));
                assert!(beginning.as_ref().is_none_or(|beginning| {
                    !beginning.is_empty()
                        && whole.starts_with(beginning.as_str())
                        && beginning.len() < whole.len()
                }));
            }
        }
        // What an iPhone would say of this text is read as just that.
        if !said.trim().is_empty() {
            let liked = tapback_text::parse(&format!("Liked “{said}”")).expect("a tapback");
            let is_whole = matches!(&liked.quoted, Quoted::Text { whole, .. } if *whole == said);
            assert!(is_whole && liked.reaction == ReactionType::Like && !liked.removed, "{liked:?}");
            let removed = tapback_text::parse(&format!("Removed a heart from “{said}”")).expect("a tapback");
            assert_eq!((removed.reaction, removed.removed), (ReactionType::Love, true));
            assert_eq!(removed.quoted, liked.quoted);
        }
    });
}

/// Checks an event as `act` does, and what passes against the bounds; says whether it did.
fn check(event: Event) -> bool {
    let now = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).expect("a time");
    let mut fields = Violations::default();
    let storable = |time: DateTime<Utc>| (1..=9_999).contains(&time.year());
    let number = |number: &PhoneNumber| assert!(PhoneNumber::parse(number.as_str()).is_ok());
    let id = |id: &str| assert!((1..=255).contains(&id.chars().count()) && !id.contains('\0'));
    match event {
        Event::Ignored(why) => {
            assert!(!why.is_empty());
            return false;
        }
        Event::Text(given) => {
            let text = given.check(&mut fields, now);
            let Some(text) = finished(fields, text) else { return false };
            number(&text.line_number);
            number(&text.remote_number);
            id(&text.provider_message_id);
            let said = text.text.as_deref().unwrap_or_default();
            assert!(said.chars().count() <= TEXT_LIMIT && !said.contains('\0'));
            assert!(!said.is_empty() || !text.media.is_empty(), "something was said");
            assert!(text.media.len() <= 20 && text.sent_at <= now && storable(text.sent_at));
            for file in &text.media {
                assert!((1..=2_048).contains(&file.url.chars().count()) && !file.url.contains('\0'));
                assert!(file.size_bytes.is_none_or(|size| size >= 0));
            }
        }
        Event::Tapback(given) => {
            let reaction = given.check(&mut fields);
            let Some((line, tapback)) = finished(fields, reaction) else { return false };
            number(&line);
            number(&tapback.remote_number);
            id(&tapback.target_provider_message_id);
            assert!((0..32).contains(&tapback.part_index));
            assert_eq!(tapback.reaction == ReactionType::Custom, tapback.custom_emoji.is_some());
        }
        Event::News(news) => {
            assert!(news.sent_at.is_none_or(storable));
            let status = news.given.status;
            let checked = news.given.check(&mut fields, now);
            let Some(news) = finished(fields, checked) else { return false };
            number(&news.line_number);
            id(&news.provider_message_id);
            assert!(news.status != DeliveryStatus::Received && Some(news.status) == status);
            assert_eq!(
                news.error.is_some(),
                news.status.is_failure(),
                "a failure says why, and nothing else does"
            );
        }
    }
    true
}

/// What passed; where nothing did, every refusal names its field.
fn finished<T>(fields: Violations, checked: Option<T>) -> Option<T> {
    match fields.finish(|| checked) {
        Ok(checked) => Some(checked),
        Err(Error::InvalidArgument(violations)) => {
            assert!(!violations.is_empty());
            assert!(
                violations
                    .iter()
                    .all(|violation| !violation.field.is_empty() && !violation.description.is_empty())
            );
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Bodies of the corpus, altered; now and then as bytes that may be no JSON any more.
fn over_bodies(target: &str, property: impl Fn(&Value, &mut StdRng) -> bool) {
    let bodies = corpus(target);
    let next = |n: u64, random: &mut StdRng| {
        if let Some(body) = usize::try_from(n).ok().and_then(|n| bodies.get(n)) {
            return body.to_string().into_bytes();
        }
        let body = json::altered(pick(&bodies, random), &bodies, random).to_string().into_bytes();
        if once_in(8, random) { changed(&body, &[], random) } else { body }
    };
    let passed = Cell::new(0_u64);
    over(target, next, |input, random| {
        // What is no JSON object is answered before any carrier's code sees it.
        if let Ok(body @ Value::Object(_)) = serde_json::from_slice(input) {
            passed.set(passed.get() + u64::from(property(&body, random)));
        }
    });
    assert!(passed.get() > 100, "only {} passed the checks: the bodies are changed too much", passed.get());
}

#[test]
fn bodies_of_sendblue() {
    over_bodies("sendblue", |body, _| {
        let told = sendblue::parse_status(body);
        assert!(
            !matches!(told, Event::Text(_) | Event::Tapback(_)),
            "an address for news takes nothing else"
        );
        check(told);
        let read = sendblue::parse(body);
        if body["group_id"].as_str().is_some_and(|id| !id.is_empty()) {
            assert!(matches!(read, Event::Ignored(_)), "groups are not ours");
        }
        check(read)
    });
}

#[test]
fn bodies_of_bluebubbles() {
    over_bodies("bluebubbles", |body, random| {
        let line = *pick(&["+12025550101", "+12025550101", "nonsense", ""], random);
        let read = bluebubbles::parse(line, body);
        if body["data"]["isFromMe"] == true {
            assert!(!matches!(read, Event::Text(_) | Event::Tapback(_)), "our own is not a human's");
        }
        let passed = check(read);
        assert!(!passed || PhoneNumber::parse(line).is_ok());
        passed
    });
}
