//! Property tests of page tokens with arbitrary input.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::*;
use crate::fuzzing::{over_texts, pick, text};

/// Offset of the cursor, after version and binding.
const CURSOR: usize = 1 + BINDING_BYTES;

fn matches(token: PageToken, binding: &ListBinding) -> bool {
    let page = RequestedPage { limit: 50, start: RequestedStart::Token(token) };
    match binding.start_of(&page) {
        Ok(page) => {
            assert_eq!(page.start, Start::After(token.cursor));
            true
        }
        Err(Error::InvalidArgument(violations)) => {
            assert_eq!(violations[0].field, "page_token");
            false
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// A token that the service could have issued, and the list that it belongs to.
fn issued(random: &mut StdRng) -> (PageToken, ListBinding) {
    // The years 1 to 9999, in microseconds.
    let micros = random.random_range(-62_135_596_800_000_000..253_402_300_800_000_000);
    let at = DateTime::from_timestamp_micros(micros).expect("a time");
    let cursor = Cursor { at, id: Uuid::from_u128(random.random()) };
    let filters = format!("{:x}", random.random::<u32>());
    let list = ListBinding::new("ListMessages", &"org_a".into(), None, &filters);
    (PageToken { binding: list.0, cursor }, list)
}

#[test]
fn page_tokens() {
    let elsewhere = ListBinding::new("ListMessages", &"org_b".into(), None, "");
    over_texts("page_tokens", |input, random| {
        if let Some(token) = PageToken::decode(&text(input)) {
            assert_eq!(token.encode(), text(input), "each token has one encoding");
            assert!((1..=9_999).contains(&token.cursor.at.year()), "PostgreSQL can store it");
            assert!(!matches(token, &elsewhere), "a forged token matches no list");
        }

        let (token, list) = issued(random);
        let written = token.encode();
        assert_eq!(PageToken::decode(&written), Some(token));
        assert!(matches(token, &list) && !matches(token, &elsewhere));

        // One flipped bit: a changed version is malformed, and a changed binding matches no list. A caller may change
        // the cursor, which grants nothing, but the token is then never equal to the original.
        let mut bytes = URL_SAFE_NO_PAD.decode(&written).expect("base64");
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        let tampered = PageToken::decode(&URL_SAFE_NO_PAD.encode(&bytes));
        assert_ne!(tampered, Some(token));
        match tampered {
            None => assert!(at == 0 || at >= CURSOR, "byte {at}"),
            Some(tampered) => assert_eq!(matches(tampered, &list), at >= CURSOR, "byte {at}"),
        }

        // A shorter token, and one with an additional character, are malformed.
        assert_eq!(PageToken::decode(&written[..random.random_range(0..written.len())]), None);
        let mut longer = written;
        longer.insert(random.random_range(0..=longer.len()), *pick(&['A', '=', '+', '/', ' ', 'é'], random));
        assert_eq!(PageToken::decode(&longer), None);
    });
}
