//! The API key in the headers of a request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use crate::domain::KeyDigest;

/// The header of a key, besides `authorization: Bearer`.
const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// The digest of the key that a request presents. `None` without a key, with two different keys, or with a key beside a
/// malformed header.
#[must_use]
pub fn presented_key(headers: &HeaderMap) -> Option<KeyDigest> {
    let plain = headers.get_all(API_KEY_HEADER).iter().map(|value| Some(value.as_bytes()));
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| bearer_token(value.as_bytes()));
    let mut presented = plain.chain(bearer);
    let first = presented.next()??;
    presented.all(|other| other == Some(first)).then(|| KeyDigest::of(first))
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::presented_key;
    use crate::domain::KeyDigest;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_key_is_taken_from_either_header_and_two_that_differ_are_none() {
        let key = Some(KeyDigest::of(b"k"));
        for good in [
            &[("x-api-key", "k")][..],
            &[("authorization", "Bearer k")],
            &[("authorization", "bearer k")],
            &[("x-api-key", "k"), ("authorization", "Bearer k")],
        ] {
            assert_eq!(presented_key(&headers(good)), key, "{good:?}");
        }
        for bad in [
            &[][..],
            &[("authorization", "k")],
            &[("authorization", "Basic k")],
            &[("authorization", "Bearer")],
            &[("x-api-key", "k"), ("authorization", "Bearer other")],
            &[("x-api-key", "k"), ("authorization", "Basic k")],
        ] {
            assert_eq!(presented_key(&headers(bad)), None, "{bad:?}");
        }
    }
}
