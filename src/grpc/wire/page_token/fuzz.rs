//! Whatever comes as a page token.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::*;
use crate::fuzzing::{over_texts, pick, text};

/// Where in a token its binding ends and its position begins.
const POSITION: usize = 1 + BINDING_BYTES;

fn opens(token: PageToken, binding: &Binding) -> bool {
    let page = RequestedPage { limit: 50, start: RequestedStart::Token(token) };
    match binding.open(&page) {
        Ok(page) => {
            assert_eq!(page.start, Start::After(token.position));
            true
        }
        Err(Error::InvalidArgument(violations)) => {
            assert_eq!(violations[0].field, "page_token");
            false
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// A token that the service could have given, and the list it belongs to.
fn given(random: &mut StdRng) -> (PageToken, Binding) {
    // The years 1 to 9999, in microseconds.
    let micros = random.random_range(-62_135_596_800_000_000..253_402_300_800_000_000);
    let at = DateTime::from_timestamp_micros(micros).expect("a time");
    let position = Cursor { at, id: Uuid::from_u128(random.random()) };
    let filters = format!("{:x}", random.random::<u32>());
    let list = Binding::new("ListMessages", &"org_a".into(), None, &filters);
    (PageToken { binding: list.0, position }, list)
}

#[test]
fn page_tokens() {
    let elsewhere = Binding::new("ListMessages", &"org_b".into(), None, "");
    over_texts("page_tokens", |input, random| {
        if let Some(token) = PageToken::decode(&text(input)) {
            assert_eq!(token.encode(), text(input), "one text for one token");
            assert!((1..=9_999).contains(&token.position.at.year()), "PostgreSQL keeps it");
            assert!(!opens(token, &elsewhere), "a token that nobody gave opens no list");
        }

        let (token, list) = given(random);
        let written = token.encode();
        assert_eq!(PageToken::decode(&written), Some(token));
        assert!(opens(token, &list) && !opens(token, &elsewhere));

        // One byte changed: another version is no token, and another binding opens no list. The position is the
        // caller's to choose: it grants nothing, but never reads as what it was.
        let mut bytes = URL_SAFE_NO_PAD.decode(&written).expect("base64");
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        let tampered = PageToken::decode(&URL_SAFE_NO_PAD.encode(&bytes));
        assert_ne!(tampered, Some(token));
        match tampered {
            None => assert!(at == 0 || at >= POSITION, "byte {at}"),
            Some(tampered) => assert_eq!(opens(tampered, &list), at >= POSITION, "byte {at}"),
        }

        // Another length or another letter outside the alphabet is none.
        assert_eq!(PageToken::decode(&written[..random.random_range(0..written.len())]), None);
        let mut longer = written;
        longer.insert(random.random_range(0..=longer.len()), *pick(&['A', '=', '+', '/', ' ', 'é'], random));
        assert_eq!(PageToken::decode(&longer), None);
    });
}
