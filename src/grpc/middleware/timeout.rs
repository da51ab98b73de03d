//! How long a call may take.
//!
//! tonic's own time-out answers `CANCELLED`; ours answers `DEADLINE_EXCEEDED`, counted from the arrival of the call.

use std::time::Duration;

use http::HeaderMap;

/// The header in which a client says how long it will wait.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// We answer this much before the client's own time is over (a fiftieth, within bounds), so that it hears why.
const HEAD_START: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// How long a call may take: as long as its client waits, but not longer than we let it.
pub(in crate::grpc) fn time_for(headers: &HeaderMap, longest: Duration) -> Duration {
    let asked = headers.get(GRPC_TIMEOUT).and_then(|value| value.to_str().ok()).and_then(parse_timeout);
    match asked {
        Some(asked) if asked <= longest => {
            asked.saturating_sub((asked / 50).clamp(HEAD_START.0, HEAD_START.1))
        }
        _ => longest,
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Requests"). What cannot be read says
/// nothing.
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
