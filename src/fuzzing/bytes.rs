//! Changing bytes at random.

use rand::RngExt as _;
use rand::rngs::StdRng;

/// Characters that parsers stumble over: blanks that are no ASCII, what grows or shrinks by case, digits of other
/// scripts, what combines, and the ends of the ranges of UTF-8.
const CHARACTERS: &str = "\0\t\n\r +-@/:;=._%&'\"“”…0189azAZ\u{7f}\u{80}\u{a0}ßİıΣςé٣🎉\u{200b}\u{200d}\u{2028}\u{feff}\u{fffc}\u{fffd}\u{10ffff}";
/// The longest input: beyond every bound of the contract.
const LONGEST: usize = 100_000;

/// One of several.
pub(crate) fn pick<'a, T>(from: &'a [T], random: &mut StdRng) -> &'a T {
    &from[random.random_range(0..from.len())]
}

/// A seed with a few changes; other seeds lend pieces.
pub(crate) fn changed(seed: &[u8], seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..=5) {
        change(&mut bytes, seeds, random);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut StdRng) {
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
            // Long enough to pass a bound.
            let piece = bytes[at..end].repeat(1 << random.random_range(1..13));
            bytes.splice(at..end, piece);
        }
        _ => bytes.reverse(),
    }
}
