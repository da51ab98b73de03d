//! Keywords by which a human ends or resumes the messages of an agent.

use super::router_command::without_additions;

/// A text that consists of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptOutKeyword {
    /// The human wants no more messages.
    Stop = 1,
    /// The human wants messages again.
    Start = 2,
}

/// Keywords that end messages, in lower case.
const STOP: [&str; 15] = [
    // What messaging APIs honour by default: the lists of Telnyx and Braze (docs/opt-out.md).
    "stop",
    "stopall",
    "stop all",
    "unsubscribe",
    "cancel",
    "end",
    "quit",
    // 47 CFR 64.1200 (a)(10): words that revoke consent by reply. With a hyphen: the list of AWS.
    "revoke",
    "optout",
    "opt out",
    "opt-out",
    // French: the list of AWS for Canada; the accent is how it is spelled.
    "arret",
    "arrêt",
    // Spanish and Portuguese. No list of a carrier was found; agents write in these languages as well.
    "parar",
    "alto",
];
/// Keywords that resume them, in lower case; the same sources. They mean nothing to a human who has not opted out.
const START: [&str; 3] = ["start", "unstop", "yes"];

/// The longest text that is looked at, in bytes. A keyword with quotation marks and invisible characters is shorter.
const MAX_BYTES: usize = 128;

impl OptOutKeyword {
    /// `None` if the text is not exactly a keyword. Case, white space, invisible characters, quotation marks, the
    /// punctuation of a sentence and a "please" are ignored, as in commands to the router line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let words = without_additions(text).to_lowercase();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if STOP.contains(&words.as_str()) {
            Some(Self::Stop)
        } else if START.contains(&words.as_str()) {
            Some(Self::Start)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OptOutKeyword::{self, Start, Stop};

    #[test]
    fn a_keyword_counts_in_any_case_and_with_what_people_add_to_it() {
        for text in
            ["STOP", "stop", " Stop.\n", "“STOP”", "Stop!", "\u{200b}stop", "please stop", "STOP  ALL"]
        {
            assert_eq!(OptOutKeyword::parse(text), Some(Stop), "{text:?}");
        }
        for text in ["stopall", "UNSUBSCRIBE", "cancel", "End", "QUIT", "Revoke", "opt-out", "OPT OUT"] {
            assert_eq!(OptOutKeyword::parse(text), Some(Stop), "{text:?}");
        }
        for text in ["ARRET", "Arrêt", "ARRÊT", "parar", "ALTO"] {
            assert_eq!(OptOutKeyword::parse(text), Some(Stop), "{text:?}");
        }
        for text in ["START", "unstop", "Yes."] {
            assert_eq!(OptOutKeyword::parse(text), Some(Start), "{text:?}");
        }
    }

    #[test]
    fn a_keyword_among_other_words_is_a_text() {
        for text in ["", "stop it", "don't stop", "stopping", "the end", "yes please", "STOP🛑", "S T O P"]
        {
            assert_eq!(OptOutKeyword::parse(text), None, "{text:?}");
        }
    }
}
