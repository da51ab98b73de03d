//! The Huffman code of header compression (RFC 7541, appendix B), for the characters that a path or an address consists of.
//!
//! The code is canonical: in the order of [`CHARACTERS`], each code is its predecessor plus one, shifted to its length.

/// ASCII without `\` and control characters (NUL excepted), by code. The codes of other octets are longer than 15 bits.
const CHARACTERS: &[u8; 95] = b"012aceiost %-./3456789=A_bdfghlmnpru:BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz&*,;XZ\
    !\"()?'+|#>\0$@[]~^}<`{";
/// Lengths of codes in bits, and how many characters have them.
const LENGTHS: [(u32, usize); 10] =
    [(5, 10), (6, 26), (7, 32), (8, 6), (10, 5), (11, 3), (12, 2), (13, 6), (14, 2), (15, 3)];
const LONGEST: u32 = 15;

/// A character, with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) character: u8,
    /// Length of the code in bits.
    pub(super) length: u32,
    code: u32,
}

/// Every symbol, by code.
fn symbols() -> impl Iterator<Item = Symbol> {
    let lengths = LENGTHS.iter().flat_map(|(length, count)| std::iter::repeat_n(*length, *count));
    let mut next = (0, LENGTHS[0].0);
    CHARACTERS.iter().zip(lengths).map(move |(character, length)| {
        let code = next.0 << (length - next.1);
        next = (code + 1, length);
        Symbol { character: *character, length, code }
    })
}

/// The symbol of a character; `None` for octets that are not in [`CHARACTERS`].
pub(super) fn symbol(character: u8) -> Option<Symbol> {
    symbols().find(|symbol| symbol.character == character)
}

/// Decodes a string; `None` if it has other octets or is malformed.
pub(super) fn decode(octets: &[u8]) -> Option<Vec<Symbol>> {
    let symbols: Vec<_> = symbols().collect();
    let mut decoded = Vec::new();
    let (mut code, mut length) = (0, 0);
    for octet in octets {
        for bit in (0..u8::BITS).rev() {
            (code, length) = (code << 1 | u32::from(octet >> bit & 1), length + 1);
            if let Ok(found) =
                symbols.binary_search_by_key(&(length, code), |symbol| (symbol.length, symbol.code))
            {
                decoded.push(symbols[found]);
                (code, length) = (0, 0);
            } else if length > LONGEST {
                return None;
            }
        }
    }
    // The rest of the last octet is filled with ones.
    let is_padding = length < u8::BITS && code == (1 << length) - 1;
    is_padding.then_some(decoded)
}

/// Encodes a string.
pub(super) fn encode(symbols: impl IntoIterator<Item = Symbol>) -> Vec<u8> {
    let mut octets = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for symbol in symbols {
        (bits, count) = (bits << symbol.length | symbol.code, count + symbol.length);
        while count >= u8::BITS {
            count -= u8::BITS;
            octets.extend(u8::try_from(bits >> count & 0xff));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        let padding = u8::BITS - count;
        octets.extend(u8::try_from(bits << padding | ((1 << padding) - 1)));
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::{CHARACTERS, decode, encode, symbol, symbols};

    fn encoded(text: &[u8]) -> Vec<u8> {
        encode(text.iter().map(|character| symbol(*character).unwrap()))
    }

    /// Encoded by another implementation; the first ones are examples of RFC 7541.
    #[test]
    fn strings_are_encoded_as_others_do() {
        let cases: [(&[u8], &[u8]); 7] = [
            (b"www.example.com", &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]),
            (b"custom-value", &[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf]),
            (b":authority", b"\xb8;S9\xec2}\x7f"),
            (b"run%2Fu.sock", b"\xb2\xda\x95\x16\x1bWA\xc9\xd7"),
            (b"/run/ink.sock", b"b\xcbj`\xd5u]\x07'_"),
            (b"127.0.0.1:1,127.0.0.1:2", b"\x08\x9d\\\x0b\x81p\xdc\x0f\xd0D\xea\xe0\\\x0b\x86\xe0\xbf"),
            (
                b"a[b]~\"(!)?'+|$@",
                b"\x1f\xfe\xe3\xff\xe7\xff\x7f\x9f\xeb\xf8\xfe\xff\xcf\xf5\xfe\xff\xe7\xfe\x7f\xf5",
            ),
        ];
        for (text, octets) in cases {
            assert_eq!(encoded(text), octets);
            let decoded: Vec<_> = decode(octets).unwrap().iter().map(|symbol| symbol.character).collect();
            assert_eq!(decoded, text);
        }
    }

    #[test]
    fn every_character_is_decoded_as_it_was_encoded() {
        let all: Vec<_> = symbols().collect();
        assert_eq!(decode(&encode(all.clone())), Some(all));
        assert_eq!(symbols().last().unwrap().code, 0x7ffe);
        assert_eq!(CHARACTERS.len(), symbols().count());
    }

    #[test]
    fn a_malformed_string_is_not_decoded() {
        for octets in [&b"\xff\xff\xff\xff"[..], b"\xff", b"\x00", b"\x18\x00"] {
            assert_eq!(decode(octets), None, "{octets:?}");
        }
        assert_eq!(decode(b""), Some(Vec::new()));
    }
}
