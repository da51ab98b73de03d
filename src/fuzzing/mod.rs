//! Running a property over many inputs: every seed of a committed corpus, then seeds changed at random. Tests alone.
//!
//! Own code, for want of something that fits: cargo-fuzz needs a nightly compiler; bolero's engine for plain `cargo test`
//! makes its inputs of random bytes alone; proptest keeps a tree of each value to shrink it, which none of these short
//! inputs needs.
//!
//! `INKBOX_FUZZ_EXECUTIONS` = executions of all targets together; `INKBOX_FUZZ_SEED` repeats a run. A failure prints the
//! input: added to the target's corpus it is run first ever after.

mod bytes;
pub(crate) mod json;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

pub(crate) use bytes::{changed, pick};

/// Targets, each of which gets the same share of the executions.
const TARGETS: [&str; 9] = [
    "phone_numbers",
    "router_commands",
    "page_tokens",
    "grpc_timeouts",
    "api_keys",
    "requests",
    "tapback_texts",
    "sendblue",
    "bluebubbles",
];
/// Executions of all targets together where nothing is said: a few seconds.
const SHORT: u64 = 45_000;

/// The corpus of a target: a JSON array of seeds, in `tests/corpus/TARGET.json`.
pub(crate) fn corpus(target: &str) -> Vec<Value> {
    let path = format!("{}/tests/corpus/{target}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a corpus");
    let seeds: Vec<Value> = serde_json::from_str(&text).expect("a JSON array");
    assert!(seeds.len() >= 5, "{path} has {} seeds", seeds.len());
    seeds
}

/// The same where seeds are texts.
pub(crate) fn texts(target: &str) -> Vec<Vec<u8>> {
    let bytes = |seed: &Value| seed.as_str().expect("a text").as_bytes().to_vec();
    corpus(target).iter().map(bytes).collect()
}

/// Runs a property over texts that were changed at random, as bytes.
pub(crate) fn over_texts(target: &str, property: impl Fn(&[u8], &mut StdRng)) {
    let seeds = texts(target);
    let next = |n: u64, random: &mut StdRng| match usize::try_from(n).ok().and_then(|n| seeds.get(n)) {
        Some(seed) => seed.clone(),
        None => changed(pick::<Vec<u8>>(&seeds, random), &seeds, random),
    };
    over(target, next, |input, random| property(input, random));
}

/// Runs a property over what `next` makes for each execution's number.
pub(crate) fn over<T: Debug>(
    target: &str,
    next: impl Fn(u64, &mut StdRng) -> T,
    property: impl Fn(&T, &mut StdRng),
) {
    let place = TARGETS.iter().position(|name| *name == target).expect("a target of TARGETS");
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seed = number("INKBOX_FUZZ_SEED").unwrap_or_else(rand::random);
    let all = number("INKBOX_FUZZ_EXECUTIONS").unwrap_or(SHORT);
    let executions = all.div_ceil(TARGETS.len() as u64);
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(place as u64));
    let begun = Instant::now();
    for n in 0..executions {
        let input = next(n, &mut random);
        let outcome = catch_unwind(AssertUnwindSafe(|| property(&input, &mut random)));
        if let Err(panic) = outcome {
            say(&format!("fuzz {target}: INKBOX_FUZZ_SEED={seed}, execution {n}, input {input:?}"));
            resume_unwind(panic);
        }
    }
    let took = begun.elapsed();
    say(&format!("fuzz {target}: INKBOX_FUZZ_SEED={seed}, {executions} of {all} executions, {took:.1?}"));
}

#[expect(clippy::print_stdout, reason = "whoever runs this is to know the seed")]
fn say(line: &str) {
    println!("{line}");
}

/// A text of the input.
pub(crate) fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// One time in `n`.
pub(crate) fn once_in(n: u32, random: &mut StdRng) -> bool {
    random.random_range(0..n) == 0
}

#[test]
fn every_corpus_is_a_targets() {
    let folder = std::fs::read_dir(format!("{}/tests/corpus", env!("CARGO_MANIFEST_DIR"))).expect("a folder");
    let names = folder.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut names: Vec<_> = names.collect();
    names.sort();
    let mut targets = TARGETS.map(|target| format!("{target}.json"));
    targets.sort();
    assert_eq!(names, targets);
}
