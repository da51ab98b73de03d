//! Random mutations of bytes.

use rand::RngExt as _;
use rand::rngs::StdRng;

/// Characters that parsers often mishandle: non-ASCII whitespace, characters whose length changes with their case, digits
/// of other scripts, combining characters, and the limits of each UTF-8 length.
const CHARACTERS: &str = "\0\t\n\r +-@/:;=._%&'\"“”…0189azAZ\u{7f}\u{80}\u{a0}ßİıΣςé٣🎉\u{200b}\u{200d}\u{2028}\u{feff}\u{fffc}\u{fffd}\u{10ffff}";
/// Maximum length of an input, in bytes: beyond every bound of the API.
const MAX_LENGTH: usize = 100_000;

/// Returns a random element.
pub(crate) fn pick<'a, T>(from: &'a [T], random: &mut StdRng) -> &'a T {
    &from[random.random_range(0..from.len())]
}

/// Applies one to five mutations to a seed. `seeds` are a source of fragments.
pub(crate) fn mutated(seed: &[u8], seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..=5) {
        mutate(&mut bytes, seeds, random);
    }
    bytes.truncate(MAX_LENGTH);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=bytes.len());
    let end = (at + random.random_range(0..=8)).min(bytes.len());
    match random.random_range(0..100) {
        0..15 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
        15..25 if at < bytes.len() => bytes[at] = random.random(),
        25..35 => bytes.insert(at, random.random()),
        35..50 => _ = bytes.drain(at..end),
        50..65 => {
            let characters: Vec<char> = CHARACTERS.chars().collect();
            let mut buffer = [0; 4];
            let character = pick(&characters, random).encode_utf8(&mut buffer).as_bytes();
            let over = if random.random() { at } else { (at + character.len()).min(bytes.len()) };
            bytes.splice(at..over, character.iter().copied());
        }
        65..75 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        75..85 if !seeds.is_empty() => {
            let other = pick(seeds, random);
            let from = random.random_range(0..=other.len());
            bytes.splice(at..end, other[from..].iter().copied());
        }
        85..90 => bytes.truncate(at),
        90..93 => bytes.make_ascii_uppercase(),
        93 if at < end => {
            // Long enough to exceed a bound.
            let piece = bytes[at..end].repeat(1 << random.random_range(1..13));
            bytes.splice(at..end, piece);
        }
        _ => bytes.reverse(),
    }
}
