//! The deadline of a call. tonic's own timeout is not used, because it fails with `CANCELLED` instead of
//! `DEADLINE_EXCEEDED`.

use std::time::Duration;

use http::HeaderMap;

/// The header with the client's timeout.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The status is sent this much before the client's own timeout, so that it arrives: 2 % of the timeout, within these
/// bounds.
const RESPONSE_MARGIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// The time that a call may take: the client's timeout, but at most `max`.
pub(in crate::grpc) fn effective_timeout(headers: &HeaderMap, max: Duration) -> Duration {
    let requested = headers.get(GRPC_TIMEOUT).and_then(|value| value.to_str().ok()).and_then(parse_timeout);
    match requested {
        Some(requested) if requested <= max => {
            requested.saturating_sub((requested / 50).clamp(RESPONSE_MARGIN.0, RESPONSE_MARGIN.1))
        }
        _ => max,
    }
}

/// Parses `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Requests"). A malformed value is ignored.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse::<u64>().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_timeout;

    #[test]
    fn grpc_timeouts_are_digits_and_a_unit() {
        for (text, time) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(parse_timeout(text), Some(time), "{text}");
        }
        for bad in ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", "1 S", "é", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad:?}");
        }
    }
}
