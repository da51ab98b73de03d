//! Arbitrary headers: up to three, one per line of the input.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{API_KEY_HEADER, presented_key};
use crate::domain::{KeyDigest, Secret};
use crate::fuzzing::over_texts;

/// The header of each line: its first character says which.
fn headers(input: &[u8]) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(3);
    let header = |line: &[u8]| {
        let (which, value) = line.split_first()?;
        let name = if *which == b'k' { API_KEY_HEADER } else { AUTHORIZATION };
        Some((name, HeaderValue::from_bytes(value).ok()?))
    };
    lines.map(header).collect()
}

/// The key in one header, as README says: `x-api-key`, or `authorization: Bearer` in any case.
fn key_in((name, value): &(HeaderName, HeaderValue)) -> Option<Vec<u8>> {
    let value = value.as_bytes();
    if *name == API_KEY_HEADER {
        return Some(value.to_vec());
    }
    let is_bearer = value.len() >= 7 && value[..7].eq_ignore_ascii_case(b"bearer ");
    is_bearer.then(|| value[7..].to_vec())
}

#[test]
fn api_keys() {
    over_texts("api_keys", |input, _| {
        let Some(headers) = headers(input) else { return };
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            map.append(name, value.clone());
        }
        let mut keys: Vec<_> = headers.iter().map(key_in).collect();
        keys.dedup();
        // One key, however often; none, or two that differ, or one beside something that is no key, are none.
        let expected = match &keys[..] {
            [Some(key)] if Secret::is_well_formed(key) => Some(KeyDigest::of(key)),
            _ => None,
        };
        assert_eq!(presented_key(&map), expected);

        // A secret of ours is found in either header, and nothing that is one character off is taken for it.
        let mut seed = [0; Secret::BYTES];
        seed.iter_mut().zip(input).for_each(|(byte, given)| *byte = *given);
        let secret = Secret::from_bytes(seed);
        assert_eq!(KeyDigest::of(secret.reveal().as_bytes()), secret.digest());
        assert!(secret.reveal().bytes().all(|byte| byte.is_ascii_graphic()), "goes into a header");
        let shorter = &secret.reveal().as_bytes()[1..];
        assert!(KeyDigest::of(shorter) != secret.digest());
    });
}
