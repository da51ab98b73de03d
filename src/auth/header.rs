//! The API key in the headers of a request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use crate::domain::{KeyDigest, Secret};

/// The header of a key, besides `authorization: Bearer`.
const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// The digest of the key that a request presents. `None` without a key, with two different keys, with a key beside a
/// malformed header, or with a text that cannot be a key.
#[must_use]
pub fn presented_key(headers: &HeaderMap) -> Option<KeyDigest> {
    let plain = headers.get_all(API_KEY_HEADER).iter().map(|value| Some(value.as_bytes()));
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| bearer_token(value.as_bytes()));
    let mut presented = plain.chain(bearer);
    let first = presented.next()??;
    let is_key = presented.all(|other| other == Some(first)) && Secret::is_well_formed(first);
    is_key.then(|| KeyDigest::of(first))
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

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
            })
            .collect()
    }

    const KEY: &str = "ink_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_";

    #[test]
    fn a_key_is_taken_from_either_header_and_two_that_differ_are_none() {
        let key = Some(KeyDigest::of(KEY.as_bytes()));
        let (bearer, lower) = (format!("Bearer {KEY}"), format!("bearer {KEY}"));
        let other = format!("{}-", &KEY[..46]);
        for good in [
            &[("x-api-key", KEY)][..],
            &[("authorization", &bearer)],
            &[("authorization", &lower)],
            &[("x-api-key", KEY), ("authorization", &bearer)],
        ] {
            assert_eq!(presented_key(&headers(good)), key, "{good:?}");
        }
        for bad in [
            &[][..],
            &[("authorization", KEY)],
            &[("authorization", "Basic k")],
            &[("authorization", "Bearer")],
            &[("x-api-key", KEY), ("authorization", &format!("Bearer {other}"))],
            &[("x-api-key", KEY), ("authorization", "Basic k")],
        ] {
            assert_eq!(presented_key(&headers(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_none() {
        for bad in ["", "k", "ink_", &KEY[..46], &format!("{KEY}A"), &KEY.replace('_', "."), &KEY[4..]] {
            assert_eq!(presented_key(&headers(&[("x-api-key", bad)])), None, "{bad}");
        }
    }
}
