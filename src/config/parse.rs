//! Value parsers of settings.
//!
//! The crates `humantime` and `bytesize` are not used: the first one rejects bare numbers such as `2`, which are accepted
//! here, and the second one accepts `1MB` (1,000,000 bytes) and fractions, which are rejected here as likely mistakes.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

/// Maximum duration that can be configured. A longer one is a typing error.
const MAX_DURATION: Duration = Duration::from_hours(24);

/// Parses `10s`, `500ms`, `2m`, or a bare number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration such as 10s, 500ms, 2m or 2.5 (seconds)");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        _ => return Err(bad()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| bad())?;
    let time = Duration::try_from_secs_f64(number * unit).map_err(|_| bad())?;
    if time > MAX_DURATION { Err(format!("{text:?} is longer than 24 hours")) } else { Ok(time) }
}

/// Parses a duration that must be greater than zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be greater than zero".to_owned()),
        time => Ok(time),
    }
}

/// Maximum size that can be configured, in bytes. A larger one is a typing error.
const MAX_SIZE: u64 = 1 << 30;

/// Parses `1MiB`, `16KiB`, or a bare number of bytes.
pub(super) fn bytes(text: &str) -> Result<u32, String> {
    let bad = || format!("{text:?} is not a size of at most 1024MiB, such as 1MiB, 16KiB or 2048 (bytes)");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(bad()),
    };
    let number: u32 = digits.trim().parse().map_err(|_| bad())?;
    let size = u64::from(number) * unit;
    u32::try_from(size).ok().filter(|size| u64::from(*size) <= MAX_SIZE).ok_or_else(bad)
}

/// Parses a path that may be empty, unlike clap's own parser: deployment templates set unused variables to nothing.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The path, unless it is empty.
pub(super) fn non_empty(path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, duration, positive_duration};

    #[test]
    fn times_have_units_or_are_seconds() {
        for (text, millis) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("2", 2_000), ("0.25", 250)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "-1s", "1h", "NaN", "inf", "1e9", "1 0s", "s10"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, size) in [("1MiB", 1 << 20), ("16KiB", 16_384), ("2048", 2_048), ("7B", 7), ("0", 0)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5MiB", "1MB", "1GiB", "99999999999", "4096MiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_positive_duration_is_not_zero() {
        assert_eq!(positive_duration("10ms"), Ok(Duration::from_millis(10)));
        assert!(positive_duration("0").is_err() && positive_duration("0s").is_err());
    }
}
