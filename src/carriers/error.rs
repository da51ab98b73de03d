//! Why a line did not do what it was asked.

use std::fmt;
use std::time::Duration;

use crate::error::Error;

/// Why a line did not do it, by what the caller can make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarrierError {
    /// Refused for good: the same call will fail again.
    Refused(Option<Said>),
    /// Not a thing that this carrier can do, ever. Nothing left for it.
    Unsupported,
    /// A passing fault, and nothing was done: the same call can succeed later.
    Passing {
        /// When to try again.
        retry_after: Duration,
    },
    /// No answer within the line time-out, or none that can be understood: it may or may not have been done.
    Unknown,
}

/// What a carrier gave as its reason. Never its own words: they may hold a line's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    code: String,
    meaning: &'static str,
}

/// The longest code that is kept of a carrier, in characters.
const CODE_LIMIT: usize = 32;
/// A row of digits as long as this may be a phone number.
const DIGITS_LIMIT: usize = 6;

impl Said {
    /// A carrier's code, and our words for it; `None` for what is no code.
    #[must_use]
    pub fn new(code: &str, meaning: &'static str) -> Option<Self> {
        let plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let digits = code.bytes().filter(u8::is_ascii_digit).count();
        let is_code = plain && (1..=CODE_LIMIT).contains(&code.len()) && digits <= DIGITS_LIMIT;
        is_code.then(|| Self { code: code.to_owned(), meaning })
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl CarrierError {
    /// Advice to callers where the carrier gives none.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);
    /// A refusal without a reason.
    pub const REFUSED: Self = Self::Refused(None);
    /// A passing fault without advice of the carrier.
    pub const PASSING: Self = Self::Passing { retry_after: Self::RETRY_AFTER };

    const REFUSED_CODE: &'static str = "LINE_REFUSED";
    const FAILED_CODE: &'static str = "LINE_FAILED";

    /// The code that a message which failed this way is stored with: the carrier's, where it gave one for a refusal.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(Some(said)) => said.code(),
            Self::Refused(None) | Self::Unsupported => Self::REFUSED_CODE,
            Self::Passing { .. } | Self::Unknown => Self::FAILED_CODE,
        }
    }

    /// The failure of a send whose message was stored with this code.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        if code == Self::FAILED_CODE { Self::PASSING } else { Self::REFUSED }
    }
}

impl fmt::Display for CarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Some(said)) => write!(f, "refused for good: {}", said.meaning),
            Self::Refused(None) => f.write_str("refused for good"),
            Self::Unsupported => f.write_str("the carrier cannot do this"),
            Self::Passing { .. } => f.write_str("passing fault"),
            Self::Unknown => f.write_str("outcome unknown"),
        }
    }
}

impl std::error::Error for CarrierError {}

/// For calls that may be repeated without harm, such as receipts and typing: an unknown outcome is one to try again.
impl From<CarrierError> for Error {
    fn from(failure: CarrierError) -> Self {
        let retry_after = match failure {
            CarrierError::Unsupported => return Self::NotSupportedByCarrier,
            CarrierError::Refused(_) => None,
            CarrierError::Passing { retry_after } => Some(retry_after),
            CarrierError::Unknown => Some(CarrierError::RETRY_AFTER),
        };
        Self::UpstreamFailed { retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn a_code_is_never_long_nor_a_phone_number() {
        for good in ["4002", "SMS_LIMIT_REACHED", "22", "-1"] {
            assert_eq!(Said::new(good, "").expect(good).code(), good);
        }
        for bad in ["", "+12025550101", "2025550", "two words", "a.b", &"x".repeat(33)] {
            assert_eq!(Said::new(bad, ""), None, "{bad}");
        }
    }
}
