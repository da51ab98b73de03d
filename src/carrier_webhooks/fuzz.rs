//! Fuzz targets: parsing never panics, and events that pass the validation are within all documented bounds.

use std::cell::Cell;

use chrono::{DateTime, Datelike as _, Utc};
use rand::rngs::StdRng;
use serde_json::Value;

use super::decode::decode;
use super::event::Event;
use super::{bluebubbles, sendblue, tapback_text};
use crate::domain::{DeliveryStatus, MAX_TEXT_CHARACTERS, MAX_URL_CHARACTERS, PhoneNumber, ReactionType};
use crate::error::Error;
use crate::fuzzing::{corpus, json, mutated, once_in, over, over_texts, pick, text};
use crate::messaging::inbound::MAX_EMOJI_CHARACTERS;
use crate::store::tapback_texts::{BLANKS, Quoted};
use crate::validation::Violations;

#[test]
fn tapback_texts() {
    over_texts("tapback_texts", |input, _| {
        let input = text(input);
        let parse = |text: &str| tapback_text::parse(text, "").map(|tapback| tapback.words);
        let parsed = parse(&input);
        assert_eq!(parse(&format!("\n {input} ")), parsed, "surrounding whitespace is ignored");
        if let Some(tapback) = tapback_text::parse(&input, "") {
            assert!(tapback.visible.len() <= input.len(), "what is shown is a part of the text");
            if let Quoted::Text { whole, .. } = &tapback.words.quoted {
                assert!(tapback.visible.contains(whole.as_str()), "with the whole quotation");
            }
        }
        if let Some(words) = &parsed {
            assert_eq!(words.reaction == ReactionType::Custom, words.custom_emoji.is_some());
            if let Some(emoji) = &words.custom_emoji {
                assert!(emoji.chars().count() <= MAX_EMOJI_CHARACTERS && !emoji.is_ascii(), "{emoji}");
                assert!(!emoji.contains(|c: char| c.is_ascii_alphabetic()), "an emoji has no letters");
            }
            if let Quoted::Text { whole, beginning } = &words.quoted {
                assert!(!whole.trim().is_empty() && input.contains(whole.as_str()));
                assert!(beginning.as_ref().is_none_or(|beginning| {
                    !beginning.is_empty()
                        && whole.starts_with(beginning.as_str())
                        && beginning.len() < whole.len()
                }));
            }
        }
        // The tapback text that an iPhone would send for this text quotes it, whatever it contains.
        let message = input.trim_matches(|c| BLANKS.contains(c));
        if !message.is_empty() {
            let liked = parse(&format!("Liked “{input}”")).expect("a tapback");
            let is_whole = matches!(&liked.quoted, Quoted::Text { whole, .. } if *whole == message);
            assert!(is_whole && liked.reaction == ReactionType::Like && !liked.removed, "{liked:?}");
            let removed = parse(&format!("Removed a heart from “{input}”")).expect("a tapback");
            assert_eq!((removed.reaction, removed.removed), (ReactionType::Love, true));
            assert_eq!(removed.quoted, liked.quoted);
        }
    });
}

/// Validates an event as `dispatch` does, and asserts the bounds of a valid one. Returns whether it is valid.
fn check(event: Event) -> bool {
    let now = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).expect("a time");
    let mut violations = Violations::default();
    let storable = |time: DateTime<Utc>| (1..=9_999).contains(&time.year());
    let number = |number: &PhoneNumber| assert!(PhoneNumber::parse(number.as_str()).is_ok());
    let id = |id: &str| assert!((1..=255).contains(&id.chars().count()) && !id.contains('\0'));
    match event {
        Event::Ignored(reason) => {
            assert!(!reason.is_empty());
            return false;
        }
        Event::Text(raw) => {
            let text = raw.validate(&mut violations, now);
            let Some(text) = valid(violations, text) else { return false };
            number(&text.line_number);
            number(&text.remote_number);
            id(&text.provider_message_id);
            let content = text.text.as_deref().unwrap_or_default();
            assert!(content.chars().count() <= MAX_TEXT_CHARACTERS && !content.contains('\0'));
            assert!(!content.is_empty() || !text.media.is_empty(), "a text or a file");
            assert!(text.media.len() <= 20 && text.sent_at <= now && storable(text.sent_at));
            for file in &text.media {
                assert!(
                    (1..=MAX_URL_CHARACTERS).contains(&file.url.chars().count()) && !file.url.contains('\0')
                );
                assert!(file.size_bytes.is_none_or(|size| size >= 0));
            }
        }
        Event::Empty(raw) | Event::Update(raw, _) | Event::Sent(raw, _) => {
            let text = raw.validate_partial(&mut violations, now);
            let Some(text) = valid(violations, text) else { return false };
            number(&text.line_number);
            number(&text.remote_number);
            id(&text.provider_message_id);
            assert!(text.chat.is_none_or(|chat| chat.chars().count() <= 255 && !chat.contains('\0')));
        }
        Event::Tapback(raw) => {
            let reaction = raw.validate(&mut violations);
            let Some((line, tapback)) = valid(violations, reaction) else { return false };
            number(&line);
            number(&tapback.remote_number);
            id(&tapback.target_provider_message_id);
            assert!((0..32).contains(&tapback.part_index));
            assert_eq!(tapback.reaction == ReactionType::Custom, tapback.custom_emoji.is_some());
        }
        Event::Status(status_update) => {
            assert!(status_update.sent_at.is_none_or(storable));
            let status = status_update.update.status;
            let update = status_update.update.validate(&mut violations, now);
            let Some(update) = valid(violations, update) else { return false };
            number(&update.line_number);
            id(&update.provider_message_id);
            assert!(update.status != DeliveryStatus::Received && Some(update.status) == status);
            assert_eq!(
                update.error.is_some(),
                update.status.is_failure(),
                "a failure has an error, and other statuses have none"
            );
        }
    }
    true
}

/// The valid value; `None` if it is invalid, after asserting that every violation names its field.
fn valid<T>(violations: Violations, value: Option<T>) -> Option<T> {
    match violations.finish(|| value) {
        Ok(value) => Some(value),
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

/// Runs a property over mutated bodies of the corpus. One in eight is mutated as bytes, after which it may not be JSON.
fn over_bodies(target: &str, property: impl Fn(&Value, &mut StdRng) -> bool) {
    let bodies = corpus(target);
    let next = |n: u64, random: &mut StdRng| {
        if let Some(body) = usize::try_from(n).ok().and_then(|n| bodies.get(n)) {
            return body.to_string().into_bytes();
        }
        let body = json::mutated_value(pick(&bodies, random), &bodies, random).to_string().into_bytes();
        if once_in(8, random) { mutated(&body, &[], random) } else { body }
    };
    let passed = Cell::new(0_u64);
    over(target, next, |input, random| {
        // Other bodies than JSON objects are rejected before a carrier's parser runs.
        if let Some(body) = decode(input) {
            passed.set(passed.get() + u64::from(property(&body, random)));
        }
    });
    assert!(
        passed.get() > 100,
        "only {} passed the validation: the bodies are mutated too much",
        passed.get()
    );
}

#[test]
fn bodies_of_sendblue() {
    over_bodies("sendblue", |body, _| {
        let status_event = sendblue::parse_status(body);
        assert!(
            matches!(status_event, Event::Status(_) | Event::Ignored(_)),
            "the status URL accepts status updates only"
        );
        check(status_event);
        let event = sendblue::parse(body);
        if body["group_id"].as_str().is_some_and(|id| !id.is_empty()) {
            assert!(matches!(event, Event::Ignored(_)), "group chats are ignored");
        }
        check(event)
    });
}

#[test]
fn bodies_of_bluebubbles() {
    over_bodies("bluebubbles", |body, random| {
        let line = *pick(&["+12025550101", "+12025550101", "nonsense", ""], random);
        let event = bluebubbles::parse(line, body);
        if body["data"]["isFromMe"] == true {
            assert!(
                matches!(event, Event::Sent(..) | Event::Status(_) | Event::Ignored(_)),
                "an outbound message is not inbound"
            );
        }
        let is_valid = check(event);
        assert!(!is_valid || PhoneNumber::parse(line).is_ok());
        is_valid
    });
}
