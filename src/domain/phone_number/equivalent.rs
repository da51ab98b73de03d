//! Numbers that reach the same subscriber, and the one of them that is stored.
//!
//! Three countries have changed the form of their mobile numbers. Carriers, address books and people use both forms, so
//! that one human would appear as two. The rules are written out here, and are not taken from the library that knows the
//! ranges of each country: the canonical form is a key of stored rows, and must not change with an update of that library.

use super::PhoneNumber;

/// A regular expression of PostgreSQL that matches each number that is not canonical.
pub const FORMER_FORMS: &str = "^\\+(521[2-9]\\d{9}|54(11|[23]\\d)\\d{8}\
                                |549?(1115\\d{8}|[23]\\d{2}15\\d{7}|[23]\\d{3}15\\d{6})\
                                |55[1-9]{2}[689]\\d{7})$";

/// The prefix of mobile phones in Argentina when they are called from inside the country.
const ARGENTINE_MOBILE: &str = "15";

impl PhoneNumber {
    /// The number by which a subscriber is known, and to which is sent: the form that the country's numbering plan
    /// prescribes today, since a carrier may not deliver to another one.
    ///
    /// | country | canonical | equivalent |
    /// | --- | --- | --- |
    /// | Mexico | `+52` and 10 digits | `+52 1` and 10 digits, the form of mobiles until 2019 |
    /// | Argentina | `+54 9`, area code and number | without the 9; with 15 after the area code. Texts reach mobiles only |
    /// | Brazil | `+55`, area code, 9 and 8 digits | without the 9, if the 8 digits begin with 6, 8 or 9 |
    ///
    /// In Brazil, 8 digits that begin with 2 to 5 are landlines, and those that begin with 7 may be trunked radio, which
    /// never got the ninth digit.
    #[must_use]
    pub fn canonical(self) -> Self {
        let digits = self.0.get(1..).unwrap_or_default();
        let (country, national) = digits.split_at_checked(2).unwrap_or_default();
        let canonical = match country {
            "52" => mexican(national),
            "54" => argentine(national),
            "55" => brazilian(national),
            _ => None,
        };
        canonical.map_or(self, Self)
    }

    /// The canonical form, and after it the forms under which an earlier version may have stored the subscriber.
    #[must_use]
    pub fn forms(&self) -> Vec<Self> {
        let canonical = self.clone().canonical();
        let national = canonical.0.get(3..).unwrap_or_default();
        let former = match canonical.0.get(..3) {
            Some("+52") => Some(format!("+521{national}")),
            Some("+54") => national.strip_prefix('9').map(|rest| format!("+54{rest}")),
            Some("+55") => national
                .split_at_checked(2)
                .and_then(|(area, number)| Some(format!("+55{area}{}", number.strip_prefix('9')?))),
            _ => None,
        };
        let former = former.map(Self).filter(|former| former.clone().canonical() == canonical);
        [Some(canonical), former].into_iter().flatten().collect()
    }
}

fn mexican(national: &str) -> Option<String> {
    let number = national.strip_prefix('1')?;
    let is_mobile = number.len() == 10 && !number.starts_with(['0', '1']);
    is_mobile.then(|| format!("+52{number}"))
}

fn argentine(national: &str) -> Option<String> {
    let number = national.strip_prefix('9').unwrap_or(national);
    let area_length = match number.as_bytes() {
        [b'1', b'1', ..] => 2..=2,
        [b'2' | b'3', ..] => 3..=4,
        _ => return None,
    };
    if number.len() == 10 {
        return Some(format!("+549{number}"));
    }
    let mut areas = area_length.filter_map(|length| number.split_at_checked(length));
    let (area, rest) = areas.find(|(_, rest)| rest.starts_with(ARGENTINE_MOBILE))?;
    (number.len() == 12).then(|| format!("+549{area}{}", &rest[ARGENTINE_MOBILE.len()..]))
}

fn brazilian(national: &str) -> Option<String> {
    let (area, number) = national.split_at_checked(2)?;
    let is_old_mobile = number.len() == 8 && number.starts_with(['6', '8', '9']) && !area.contains('0');
    is_old_mobile.then(|| format!("+55{area}9{number}"))
}

#[cfg(test)]
mod tests {
    use super::PhoneNumber;

    fn canonical(number: &str) -> String {
        PhoneNumber::parse_subscriber(number).expect("a number").into_string()
    }

    #[test]
    fn equivalent_numbers_have_one_canonical_form() {
        for (number, expected) in [
            ("+5215512345678", "+525512345678"),
            ("+525512345678", "+525512345678"),
            ("+541123456789", "+5491123456789"),
            ("+5491123456789", "+5491123456789"),
            ("+54111523456789", "+5491123456789"),
            ("+549111523456789", "+5491123456789"),
            ("+543413456789", "+5493413456789"),
            ("+54341153456789", "+5493413456789"),
            ("+54290115423456", "+5492901423456"),
            ("+551187654321", "+5511987654321"),
            ("+5511987654321", "+5511987654321"),
            ("+551161234567", "+5511961234567"),
        ] {
            assert_eq!(canonical(number), expected, "{number}");
        }
    }

    #[test]
    fn other_numbers_stay_as_they_are() {
        for number in [
            // Landlines of Brazil, and trunked radio; landlines of Mexico; a service number of Argentina.
            "+551132345678",
            "+551170123456",
            "+525512345678",
            "+548001234567",
            // Too short or too long for their countries, yet E.164.
            "+521",
            "+52155123456789",
            "+54911",
            "+5411234567",
            "+55119876543",
            "+5511",
            "+15551230001",
            "+12",
            "+442071838750",
        ] {
            assert_eq!(canonical(number), number);
        }
    }

    #[test]
    fn the_forms_of_a_number_are_equivalent_and_the_canonical_one_is_first() {
        for (number, forms) in [
            ("+5215512345678", &["+525512345678", "+5215512345678"][..]),
            ("+5491123456789", &["+5491123456789", "+541123456789"]),
            ("+551187654321", &["+5511987654321", "+551187654321"]),
            ("+551132345678", &["+551132345678"]),
            ("+5511971234567", &["+5511971234567"]),
            ("+15551230001", &["+15551230001"]),
        ] {
            let number = PhoneNumber::parse(number).expect("a number");
            let found: Vec<_> = number.forms().into_iter().map(PhoneNumber::into_string).collect();
            assert_eq!(found, forms);
        }
    }
}
