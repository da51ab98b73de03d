//! Phone numbers.

mod equivalent;
mod notation;

use std::fmt;

pub use equivalent::FORMER_FORMS;
pub use notation::NoNumber;

/// A phone number in E.164 format: `+` and 2 to 15 digits, of which the first is not zero.
///
/// The number of a human is kept in its [canonical form](Self::canonical), because some subscribers have several numbers
/// in E.164. The number of a line is kept as the operator gave it.
///
/// `Debug` hides the digits, so that a derived `Debug` never writes a number to the log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a phone number in E.164: + and 2 to 15 digits, such as +15551234567")]
pub struct InvalidPhoneNumber;

impl PhoneNumber {
    /// Accepts exactly E.164. Nothing is trimmed or guessed, because an almost correct number reaches a stranger. Whether
    /// the number is assigned is not checked: lists of assigned ranges are older than the newest ranges.
    ///
    /// # Errors
    /// The text is not in E.164 format.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let digits = text.strip_prefix('+').ok_or(InvalidPhoneNumber)?.as_bytes();
        let well_formed =
            (2..=15).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidPhoneNumber) }
    }

    /// The number of a human, in any form that reaches the same subscriber: [`Self::parse`] and [`Self::canonical`].
    ///
    /// # Errors
    /// The text is not in E.164 format.
    pub fn parse_subscriber(text: &str) -> Result<Self, InvalidPhoneNumber> {
        Self::parse(text).map(Self::canonical)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// For numbers from the database, which were parsed before they were stored.
impl From<String> for PhoneNumber {
    fn from(stored: String) -> Self {
        Self(stored)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::PhoneNumber;

    #[test]
    fn parse_accepts_only_e164() {
        for good in ["+15551234567", "+442071838750", "+12", "+123456789012345"] {
            assert_eq!(PhoneNumber::parse(good).map(PhoneNumber::into_string), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "+",
            "+1",
            "15551234567",
            "+05551234567",
            "+1234567890123456",
            "+1 555 123 4567",
            "+1555123456a",
            " +15551234567",
            "+15551234567\n",
            "++15551234567",
            "+١٢٣٤٥٦٧",
        ] {
            assert!(PhoneNumber::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_hides_the_digits() {
        let number = PhoneNumber::from("+15551234567".to_owned());
        assert_eq!(format!("{number:?}"), "PhoneNumber(..)");
    }
}
