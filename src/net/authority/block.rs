//! The fields of a header block (RFC 7541, section 6): finds `:authority` where it is written out, and replaces its value.
//!
//! A later request usually refers to the field by its index; h2 then finds the replaced value in its table.

use std::ops::Range;

use http::uri::Authority;

use super::huffman;

/// Index of `:authority` in the static table.
const AUTHORITY_INDEX: usize = 1;
const AUTHORITY: &[u8] = b":authority";
/// The same in the Huffman code.
const AUTHORITY_HUFFMAN: &[u8] = b"\xb8;S9\xec2}\x7f";
/// A field of responses, which means nothing in a request. Its name has the length of `:authority`.
const IGNORED: &[u8] = b"set-cookie";
/// Its index in the static table, where it has an empty value.
const IGNORED_INDEX: u8 = 55;
/// First bit of an indexed field: name and value are in a table.
const INDEXED: u8 = 0x80;
/// First bits of a literal field that becomes an entry of the dynamic table.
const LITERAL_INDEXED: u8 = 0x40;
/// First bits of a new size of the dynamic table.
const SIZE_UPDATE: u8 = 0x20;
/// First bit of the length of a string in the Huffman code.
const HUFFMAN: u8 = 0x80;
/// Maximum length of a value that is replaced. A path has at most 107 octets, and three times as many with `%2F`; a list
/// of addresses may be longer.
const MAX_VALUE_BYTES: usize = 4 << 10;
/// Maximum length of an integer after its prefix, as in h2.
const MAX_INTEGER_BYTES: usize = 4;

/// Replaces the value of `:authority` by a valid one of equal length if h2 would not accept it. The rest of the block, and
/// one that is malformed or cut off, stays as it is.
pub(super) fn rewrite(block: &mut [u8]) {
    // `None` = nothing more to read.
    let _ = find_and_replace(block);
}

fn find_and_replace(block: &mut [u8]) -> Option<()> {
    let mut at = 0;
    loop {
        let start = at;
        let first = *block.get(at)?;
        if first & INDEXED != 0 {
            at = integer(block, at, 7)?.1;
            continue;
        }
        if first & LITERAL_INDEXED == 0 && first & SIZE_UPDATE != 0 {
            at = integer(block, at, 5)?.1;
            continue;
        }
        let prefix = if first & LITERAL_INDEXED == 0 { 4 } else { 6 };
        let (index, after) = integer(block, at, prefix)?;
        at = after;
        let mut name = None;
        if index == 0 {
            let literal = string(block, at)?;
            at = literal.octets.end;
            name = Some(literal);
        }
        let value = string(block, at)?;
        at = value.octets.end;
        let is_authority = name.as_ref().map_or(index == AUTHORITY_INDEX, |name| name.is_authority(block));
        if !is_authority {
            continue;
        }
        match name {
            _ if !value.octets.is_empty() => value.replace(block),
            Some(name) => name.rename(block),
            None => hide_empty(&mut block[start..at]),
        }
        return Some(());
    }
}

/// Replaces an empty `:authority` whose name has an index: two octets. The field becomes one that is ignored, since no value
/// has the length of an empty one; a request may have no authority. h2 accepts this where no pseudo-header field follows.
fn hide_empty(field: &mut [u8]) {
    if let [first, length] = field {
        if *first & LITERAL_INDEXED != 0 {
            *first = LITERAL_INDEXED | IGNORED_INDEX;
        } else {
            // Without an entry of the dynamic table: twice the entry of the static table.
            (*first, *length) = (INDEXED | IGNORED_INDEX, INDEXED | IGNORED_INDEX);
        }
    }
}

/// Where a string is.
struct Literal {
    octets: Range<usize>,
    is_huffman: bool,
}

impl Literal {
    fn is_authority(&self, block: &[u8]) -> bool {
        let expected = if self.is_huffman { AUTHORITY_HUFFMAN } else { AUTHORITY };
        block[self.octets.clone()] == *expected
    }

    /// Replaces the name of a field by that of one that is ignored.
    fn rename(&self, block: &mut [u8]) {
        if !self.is_huffman {
            block[self.octets.clone()].copy_from_slice(IGNORED);
        }
    }

    /// Replaces a value that is no authority.
    fn replace(&self, block: &mut [u8]) {
        let octets = &mut block[self.octets.clone()];
        if octets.len() > MAX_VALUE_BYTES {
            return;
        }
        if !self.is_huffman {
            if Authority::try_from(&*octets).is_err() {
                for octet in octets.iter_mut().filter(|octet| !is_kept(**octet)) {
                    *octet = b'-';
                }
            }
            return;
        }
        let Some(symbols) = huffman::decode(octets) else { return };
        let decoded: Vec<_> = symbols.iter().map(|symbol| symbol.character).collect();
        if Authority::try_from(&*decoded).is_ok() {
            return;
        }
        let replaced: Option<Vec<_>> = symbols.iter().map(|symbol| substitute(*symbol)).collect();
        if let Some(replaced) = replaced {
            let encoded = huffman::encode(replaced);
            if encoded.len() == octets.len() {
                octets.copy_from_slice(&encoded);
            }
        }
    }
}

/// Characters that are valid anywhere in an authority.
const fn is_kept(character: u8) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, b'-' | b'.' | b'_')
}

/// A valid character whose code has the same length; `None` if there is none.
fn substitute(symbol: huffman::Symbol) -> Option<huffman::Symbol> {
    if is_kept(symbol.character) {
        return Some(symbol);
    }
    huffman::symbol(match symbol.length {
        6 => b'-',
        7 => b'x',
        8 => b'X',
        10 => b'!',
        11 => b'+',
        13 => b'~',
        _ => return None,
    })
}

/// The integer whose prefix of `bits` bits is in the octet `at`, and where it ends (RFC 7541, section 5.1).
fn integer(block: &[u8], at: usize, bits: u32) -> Option<(usize, usize)> {
    let mask = (1 << bits) - 1;
    let mut value = usize::from(*block.get(at)? & mask);
    if value < usize::from(mask) {
        return Some((value, at + 1));
    }
    for (n, octet) in block.get(at + 1..)?.iter().take(MAX_INTEGER_BYTES).enumerate() {
        value += usize::from(octet & 0x7f) << (7 * n);
        if octet & 0x80 == 0 {
            return Some((value, at + 2 + n));
        }
    }
    None
}

/// The string whose length is at `at` (RFC 7541, section 5.2).
fn string(block: &[u8], at: usize) -> Option<Literal> {
    let is_huffman = block.get(at)? & HUFFMAN != 0;
    let (length, start) = integer(block, at, 7)?;
    let end = start.checked_add(length).filter(|end| *end <= block.len())?;
    Some(Literal { octets: start..end, is_huffman })
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    fn rewritten(block: &[u8]) -> Vec<u8> {
        let mut block = block.to_vec();
        rewrite(&mut block);
        block
    }

    #[test]
    fn an_authority_that_is_none_is_replaced_by_one_of_equal_length() {
        let cases: [(&[u8], &[u8]); 11] = [
            // grpcio: a literal name, before the other pseudo-header fields.
            (
                b"@\x05:path\x02/a@\n:authority\x0ctmp%2Fu.sock\x83\x86",
                b"@\x05:path\x02/a@\n:authority\x0ctmp-2Fu.sock\x83\x86",
            ),
            // A name of the static table, in each representation, after fields from the tables and a size of the table.
            (b"\x3f\xe1\x1f\x83\x86\xbe\x41\x07/u.sock\x84", b"\x3f\xe1\x1f\x83\x86\xbe\x41\x07-u.sock\x84"),
            (b"\x01\x07/u.sock", b"\x01\x07-u.sock"),
            (b"\x11\x0b1.2:3,4.5:6", b"\x11\x0b1.2-3-4.5-6"),
            (b"\x41\x04a\xff b", b"\x41\x04a--b"),
            // In the Huffman code: `/run/ink.sock`, `127.0.0.1:1,127.0.0.1:2`, and a name.
            (b"\x41\x8ab\xcbj`\xd5u]\x07'_", b"\x41\x8aZ\xcbjX\xd5u]\x07'_"),
            (
                b"\x41\x91\x08\x9d\\\x0b\x81p\xdc\x0f\xd0D\xea\xe0\\\x0b\x86\xe0\xbf",
                b"\x41\x91\x08\x9d\\\x0b\x81p\xf9\x0f\xe0D\xea\xe0\\\x0b\x87\xc8\xbf",
            ),
            (b"@\x88\xb8;S9\xec2}\x7f\x01/", b"@\x88\xb8;S9\xec2}\x7f\x01-"),
            // Empty: another field of equal length.
            (b"\x83\x86\x84\x41\x00", b"\x83\x86\x84\x77\x00"),
            (b"\x83\x86\x84\x01\x00", b"\x83\x86\x84\xb7\xb7"),
            (b"\x83\x86\x84@\n:authority\x00", b"\x83\x86\x84@\nset-cookie\x00"),
        ];
        for (block, expected) in cases {
            assert_eq!(rewritten(block), expected, "{}", block.escape_ascii());
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let long = [b"\x41\x7f\xff\x1f".as_slice(), &[b'/'; 4_222]].concat();
        let cases: [&[u8]; 13] = [
            b"",
            b"\x83\x86\x84",
            b"\x41\x09localhost",
            b"\x41\x0e127.0.0.1:5005",
            b"\x41\x07[::1]:1",
            // `www.example.com`.
            b"\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            // Other names.
            b"\x44\x02/a@\x05:path\x02/a@\x01x\x01/",
            // Cut off, or malformed: the value, the length, the name, an integer, the Huffman code.
            b"\x41\x07/u.soc",
            b"\x41",
            b"@\n:autho",
            b"\x7f\xff\xff\xff\xff\xff\x01/",
            b"\x41\x82\xff\xff",
            &long,
        ];
        for block in cases {
            assert_eq!(rewritten(block), block, "{}", block.escape_ascii());
        }
    }
}
