//! A mutation-based fuzzer for `cargo test`: runs a property over every seed of a committed corpus, then over random
//! mutations of the seeds.
//!
//! Existing tools do not fit: cargo-fuzz needs a nightly compiler; bolero's engine for plain `cargo test` generates random
//! bytes only, without a corpus; proptest keeps a tree of each value to shrink it, which these short inputs do not need.
//!
//! - `INKBOX_FUZZ_EXECUTIONS`: number of executions of all targets together.
//! - `INKBOX_FUZZ_SEED`: repeats a run.
//!
//! A failure prints the input. Add it to the target's corpus, so that every later run starts with it.

mod bytes;
pub(crate) mod json;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

pub(crate) use bytes::{mutated, pick};

/// All targets. Each gets the same share of the executions.
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
/// Default number of executions of all targets together: a few seconds.
const DEFAULT_EXECUTIONS: u64 = 45_000;

/// The corpus of a target: a JSON array of seeds, in `tests/corpus/TARGET.json`.
pub(crate) fn corpus(target: &str) -> Vec<Value> {
    let path = format!("{}/tests/corpus/{target}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a corpus");
    let seeds: Vec<Value> = serde_json::from_str(&text).expect("a JSON array");
    assert!(seeds.len() >= 5, "{path} has {} seeds", seeds.len());
    seeds
}

/// The corpus of a target whose seeds are strings.
pub(crate) fn text_corpus(target: &str) -> Vec<Vec<u8>> {
    let bytes = |seed: &Value| seed.as_str().expect("a text").as_bytes().to_vec();
    corpus(target).iter().map(bytes).collect()
}

/// Runs a property over mutations of a corpus of strings, as bytes.
pub(crate) fn over_texts(target: &str, property: impl Fn(&[u8], &mut StdRng)) {
    let seeds = text_corpus(target);
    let next = |n: u64, random: &mut StdRng| match usize::try_from(n).ok().and_then(|n| seeds.get(n)) {
        Some(seed) => seed.clone(),
        None => mutated(pick::<Vec<u8>>(&seeds, random), &seeds, random),
    };
    over(target, next, |input, random| property(input, random));
}

/// Runs a property over the inputs that `next` generates from the number of the execution.
pub(crate) fn over<T: Debug>(
    target: &str,
    next: impl Fn(u64, &mut StdRng) -> T,
    property: impl Fn(&T, &mut StdRng),
) {
    let index = TARGETS.iter().position(|name| *name == target).expect("a target of TARGETS");
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seed = number("INKBOX_FUZZ_SEED").unwrap_or_else(rand::random);
    let all = number("INKBOX_FUZZ_EXECUTIONS").unwrap_or(DEFAULT_EXECUTIONS);
    let executions = all.div_ceil(TARGETS.len() as u64);
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(index as u64));
    let started = Instant::now();
    for n in 0..executions {
        let input = next(n, &mut random);
        let outcome = catch_unwind(AssertUnwindSafe(|| property(&input, &mut random)));
        if let Err(panic) = outcome {
            print(&format!("fuzz {target}: INKBOX_FUZZ_SEED={seed}, execution {n}, input {input:?}"));
            resume_unwind(panic);
        }
    }
    let duration = started.elapsed();
    print(&format!(
        "fuzz {target}: INKBOX_FUZZ_SEED={seed}, {executions} of {all} executions, {duration:.1?}"
    ));
}

#[expect(clippy::print_stdout, reason = "shows the seed, with which the run can be repeated")]
fn print(text: &str) {
    println!("{text}");
}

/// The input as text, with invalid UTF-8 replaced.
pub(crate) fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// True with a probability of 1 in `n`.
pub(crate) fn once_in(n: u32, random: &mut StdRng) -> bool {
    random.random_range(0..n) == 0
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let folder = std::fs::read_dir(format!("{}/tests/corpus", env!("CARGO_MANIFEST_DIR"))).expect("a folder");
    let names = folder.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut names: Vec<_> = names.collect();
    names.sort();
    let mut targets = TARGETS.map(|target| format!("{target}.json"));
    targets.sort();
    assert_eq!(names, targets);
}
