//! The characters that a tapback text is made of, besides its words.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use crate::messaging::inbound::MAX_EMOJI_CHARACTERS;
use crate::store::tapback_texts::BLANKS;

/// Quotation marks of all languages, and apostrophes, which look like some of them.
const QUOTATION_MARKS: &str = "\"“”„‟'‘’‚‛«»‹›「」『』〝〞〟＂";

/// Invisible characters that Google Messages and some iPhones put around the parts of a tapback text.
const PADDING: [char; 5] = ['\u{200a}', '\u{200b}', '\u{200c}', '\u{2060}', '\u{feff}'];

pub(super) fn is_quotation_mark(c: char) -> bool {
    QUOTATION_MARKS.contains(c)
}

/// White space, or an invisible character that may stand beside it.
pub(super) fn is_blank(c: char) -> bool {
    BLANKS.contains(c)
}

pub(super) fn is_padding(c: char) -> bool {
    PADDING.contains(&c)
}

/// One character for those that carriers exchange.
pub(super) const fn folded(c: char) -> char {
    match c {
        '\u{2010}' | '\u{2011}' => '-',
        '：' => ':',
        other => other,
    }
}

/// Whether an emoji may contain this character. Unassigned ones count, because phones have new emoji earlier than this
/// service has the tables of a new Unicode version.
pub(super) fn is_emoji_character(c: char) -> bool {
    match c {
        // Keycaps; the joiner, variation selectors, and tags of the flags of regions.
        '0'..='9' | '#' | '*' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0020}'..='\u{e007f}' => true,
        _ => is_symbol(c),
    }
}

fn is_symbol(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, MathSymbol, ModifierSymbol, OtherSymbol, Unassigned};
    let of_symbols = matches!(
        c.general_category(),
        EnclosingMark | MathSymbol | ModifierSymbol | OtherSymbol | Unassigned
    );
    // Emoji whose category is that of letters or punctuation.
    !c.is_ascii() && (of_symbols || matches!(c, '‼' | '⁉' | '〰' | '〽' | 'ℹ'))
}

pub(super) fn is_emoji(text: &str) -> bool {
    text.chars().all(is_emoji_character)
        && text.chars().any(is_symbol)
        && text.chars().count() <= MAX_EMOJI_CHARACTERS
}
