//! Property tests of `grpc-timeout` with arbitrary input.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use rand::RngExt as _;

use super::{GRPC_TIMEOUT, RESPONSE_MARGIN, effective_timeout, parse_timeout};
use crate::fuzzing::{over_texts, text};

/// The timeout in nanoseconds by the specification "gRPC over HTTP/2": one to eight digits and one of six units.
fn as_documented(text: &str) -> Option<u128> {
    let unit: u128 = match text.chars().last()? {
        'H' => 3_600_000_000_000,
        'M' => 60_000_000_000,
        'S' => 1_000_000_000,
        'm' => 1_000_000,
        'u' => 1_000,
        'n' => 1,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.chars().fold(0, |sum, c| sum * 10 + u128::from(u32::from(c) - 48)) * unit)
}

#[test]
fn grpc_timeouts() {
    over_texts("grpc_timeouts", |input, random| {
        let given = text(input);
        let read = parse_timeout(&given);
        assert_eq!(read.map(|time| time.as_nanos()), as_documented(&given));

        let max = Duration::from_millis(random.random_range(1..600_000));
        let Ok(value) = HeaderValue::from_bytes(input) else { return };
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(GRPC_TIMEOUT), value)]);
        let time = effective_timeout(&headers, max);
        assert!(time <= max, "the maximum applies to every call");
        // A header with bytes outside of ASCII is ignored like a malformed one.
        match read.filter(|requested| std::str::from_utf8(input).is_ok() && *requested <= max) {
            Some(requested) => {
                assert!(
                    time <= requested && requested <= time + RESPONSE_MARGIN.1,
                    "before the client's own timeout"
                );
            }
            None => assert_eq!(time, max),
        }
    });
}
