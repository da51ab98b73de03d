//! The error of a carrier call.

use std::fmt;
use std::time::Duration;

use crate::error::Error;

/// Why a carrier did not perform an action, classified by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarrierError {
    /// Permanent: the same call will fail again.
    Rejected(Option<CarrierReason>),
    /// The carrier has no such feature. Nothing was sent to it.
    Unsupported,
    /// Temporary, and the action was not performed: a retry can succeed.
    Transient {
        /// Earliest useful time of a retry.
        retry_after: Duration,
    },
    /// There was no response within the carrier call timeout, or none that could be parsed. The action may or may not
    /// have been performed.
    Unknown,
}

/// The carrier's error code and a description written by this service. The carrier's own description is never kept: it
/// may contain the phone number of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierReason {
    code: String,
    meaning: &'static str,
}

/// Maximum length of a code, in characters.
const MAX_CODE_LENGTH: usize = 32;
/// Maximum number of digits in a code. More digits may be a phone number.
const MAX_CODE_DIGITS: usize = 6;

impl CarrierReason {
    /// `None` if `code` does not have the form of an error code.
    #[must_use]
    pub fn new(code: &str, meaning: &'static str) -> Option<Self> {
        let is_plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let digits = code.bytes().filter(u8::is_ascii_digit).count();
        let is_code = is_plain && (1..=MAX_CODE_LENGTH).contains(&code.len()) && digits <= MAX_CODE_DIGITS;
        is_code.then(|| Self { code: code.to_owned(), meaning })
    }

    /// The carrier's error code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl CarrierError {
    /// Retry delay for callers if the carrier does not advise one.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);
    /// A rejection without a reason.
    pub const REJECTED: Self = Self::Rejected(None);
    /// A transient error with the default retry delay.
    pub const TRANSIENT: Self = Self::Transient { retry_after: Self::RETRY_AFTER };

    const REJECTED_CODE: &'static str = "LINE_REFUSED";
    const TRANSIENT_CODE: &'static str = "LINE_FAILED";

    /// The code that is stored with a message that failed with this error: the carrier's code for a rejection that has
    /// one, else a code of this service.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Rejected(Some(reason)) => reason.code(),
            Self::Rejected(None) | Self::Unsupported => Self::REJECTED_CODE,
            Self::Transient { .. } | Self::Unknown => Self::TRANSIENT_CODE,
        }
    }

    /// The error of a send whose message was stored with this code.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        if code == Self::TRANSIENT_CODE { Self::TRANSIENT } else { Self::REJECTED }
    }
}

/// These texts are stored with failed messages and shown to agents.
impl fmt::Display for CarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(Some(reason)) => write!(f, "refused for good: {}", reason.meaning),
            Self::Rejected(None) => f.write_str("refused for good"),
            Self::Unsupported => f.write_str("the carrier cannot do this"),
            Self::Transient { .. } => f.write_str("passing fault"),
            Self::Unknown => f.write_str("outcome unknown"),
        }
    }
}

impl std::error::Error for CarrierError {}

/// For idempotent actions, such as read receipts and typing: an unknown outcome is reported as retryable.
impl From<CarrierError> for Error {
    fn from(error: CarrierError) -> Self {
        let retry_after = match error {
            CarrierError::Unsupported => return Self::NotSupportedByCarrier,
            CarrierError::Rejected(_) => None,
            CarrierError::Transient { retry_after } => Some(retry_after),
            CarrierError::Unknown => Some(CarrierError::RETRY_AFTER),
        };
        Self::UpstreamFailed { retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::CarrierReason;

    #[test]
    fn a_code_is_never_long_nor_a_phone_number() {
        for valid in ["4002", "SMS_LIMIT_REACHED", "22", "-1"] {
            assert_eq!(CarrierReason::new(valid, "").expect(valid).code(), valid);
        }
        for invalid in ["", "+12025550101", "2025550", "two words", "a.b", &"x".repeat(33)] {
            assert_eq!(CarrierReason::new(invalid, ""), None, "{invalid}");
        }
    }
}
