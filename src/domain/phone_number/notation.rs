//! Numbers as carriers and phones write them: national, with separators, with a prefix for calls abroad, as `tel:`.

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, Region, ValidationError};

use super::PhoneNumber;

/// Most digits of a short code in most countries. A longer one is recognised if the line's country has no such numbers.
const MAX_SHORT_CODE_DIGITS: usize = 6;
/// The prefix of calls abroad in most countries, which phones write instead of `+`.
const CALL_ABROAD: &str = "00";
/// The scheme of an address that is a phone number (RFC 3966).
const TEL: &str = "tel:";

/// Why a text is not the number of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoNumber {
    /// A short code, which belongs to a service and not to a human.
    ShortCode,
    /// Not a number at all, or of an unknown country.
    Malformed,
}

impl PhoneNumber {
    /// Reads a number in any notation. `neighbour` is a number of the country that a national number belongs to. A number
    /// in E.164 form is taken as it is, also if its range is not known.
    ///
    /// # Errors
    /// [`NoNumber`].
    pub fn from_notation(text: &str, neighbour: Option<&Self>) -> Result<Self, NoNumber> {
        let text = text.trim();
        let is_uri = text.get(..TEL.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(TEL));
        let text = if is_uri { &text[TEL.len()..] } else { text };
        if let Ok(number) = Self::parse(text) {
            return Ok(number);
        }
        let digits = text.chars().filter(char::is_ascii_digit).count();
        if !text.contains('+') && (1..=MAX_SHORT_CODE_DIGITS).contains(&digits) {
            return Err(NoNumber::ShortCode);
        }
        let from_abroad = text.strip_prefix(CALL_ABROAD).map(|rest| format!("+{rest}"));
        read(from_abroad.as_deref().unwrap_or(text), neighbour.and_then(region))
    }
}

fn read(text: &str, region: Option<Region>) -> Result<PhoneNumber, NoNumber> {
    let parsed = PHONE_NUMBER_UTIL.parse(text, region).map_err(|_| NoNumber::Malformed)?;
    let as_e164 = || PhoneNumber::parse(&parsed.to_string()).map_err(|_| NoNumber::Malformed);
    match parsed.is_possible_with_reason() {
        Ok(NumberLengthType::IsPossible) => as_e164(),
        // `+` says that the number is complete, whatever the library knows of the country.
        _ if text.contains('+') => as_e164(),
        Ok(NumberLengthType::IsPossibleLocalOnly) | Err(ValidationError::TooShort) => {
            Err(NoNumber::ShortCode)
        }
        // Too long for the country: an international number without its `+`.
        Err(_) => {
            let international = PHONE_NUMBER_UTIL.parse(format!("+{text}"), None);
            let international = international.ok().filter(rlibphonenumber::PhoneNumber::is_valid);
            let international = international.ok_or(NoNumber::Malformed)?;
            PhoneNumber::parse(&international.to_string()).map_err(|_| NoNumber::Malformed)
        }
    }
}

/// The region of a number, or the main one of its country code.
fn region(number: &PhoneNumber) -> Option<Region> {
    let parsed = PHONE_NUMBER_UTIL.parse(number.as_str(), None).ok()?;
    parsed.get_region_code().or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(parsed.country_code))
}

#[cfg(test)]
mod tests {
    use super::{NoNumber, PhoneNumber};

    fn read(text: &str, line: &str) -> Result<String, NoNumber> {
        let line = PhoneNumber::parse(line).ok();
        PhoneNumber::from_notation(text, line.as_ref()).map(PhoneNumber::into_string)
    }

    #[test]
    fn a_number_is_read_in_the_notation_of_the_lines_country() {
        for (text, line, expected) in [
            ("+12025550147", "", "+12025550147"),
            (" +1 (202) 555-0147 ", "", "+12025550147"),
            ("tel:+1-202-555-0147", "", "+12025550147"),
            ("TEL:+12025550147", "", "+12025550147"),
            ("(202) 555-0147", "+15551230000", "+12025550147"),
            ("1 202 555 0147", "+15551230000", "+12025550147"),
            ("020 7183 8750", "+442071838700", "+442071838750"),
            ("0044 20 7183 8750", "+15551230000", "+442071838750"),
            ("+44 (0)20 7183 8750", "+15551230000", "+442071838750"),
            ("0171 1234567", "+4930123456", "+491711234567"),
            ("55 1234 5678", "+525512345670", "+525512345678"),
            ("011 15-2345-6789", "+541123456780", "+5491123456789"),
            ("525512345678", "+15551230000", "+525512345678"),
            ("\u{202a}+1\u{a0}202\u{a0}555\u{a0}0147\u{202c}", "", "+12025550147"),
        ] {
            assert_eq!(read(text, line).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_number_of_an_unknown_range_is_taken() {
        for number in ["+15551230001", "+19995550000", "+12", "+999123456789012"] {
            assert_eq!(read(number, "+15551230000").as_deref(), Ok(number));
        }
        assert_eq!(read("555-123-0001", "+15551230000").as_deref(), Ok("+15551230001"));
        assert_eq!(read("+1 555 123 0001", "").as_deref(), Ok("+15551230001"));
    }

    #[test]
    fn short_codes_and_other_texts_are_no_numbers() {
        for short in ["72975", "111", "555-1234"] {
            assert_eq!(read(short, "+15551230000"), Err(NoNumber::ShortCode), "{short}");
        }
        for text in ["", "+", "++1", "2025550147", "nobody", "1234567890123456789012345"] {
            assert_eq!(read(text, ""), Err(NoNumber::Malformed), "{text}");
        }
    }
}
