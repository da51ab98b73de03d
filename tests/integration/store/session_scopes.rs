//! Which of the database's doors each function of the store goes through. A write through the wrong one would not be
//! counted, and its caller could be shown a standby that does not have it yet.

use std::path::Path;

use crate::store::sources::sources;

/// Tables whose changes no list or get shows to their caller at once: what is swept, when a key was used, and what only
/// operators make.
const UNSEEN: [&str; 8] = [
    "UPDATE api_keys k SET last_used_at",
    "UPDATE router_keys k SET last_used_at",
    "DELETE FROM idempotency_keys",
    "DELETE FROM router_commands",
    "DELETE FROM sent_messages",
    "DELETE FROM forgotten_texts",
    "INSERT INTO lines",
    "INSERT INTO organizations",
];
const WRITES: [&str; 3] = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];

/// The functions of a source, each from its name to the closing brace at the margin.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    source.split("async fn ").skip(1).map(|rest| rest.split("\n}\n").next().unwrap_or(rest))
}

/// The writes of a function: each with the beginning of its statement.
fn writes(function: &str) -> impl Iterator<Item = &str> {
    WRITES.iter().flat_map(|write| function.match_indices(write).map(|(at, _)| &function[at..]))
}

fn fault(function: &str) -> Option<&str> {
    let reads_only = function.contains(".read(");
    let looks_up = function.contains(".acquire(Affects::None)");
    let is_unseen = |write: &str| UNSEEN.iter().any(|unseen| write.starts_with(unseen));
    writes(function).find(|write| reads_only || (looks_up && !is_unseen(write)))
}

/// Whether a source has a kind of statement that callers share which writes and does not say whose rows.
fn shares_a_write_unsaid(source: &str) -> bool {
    source.contains("impl Shared for") && writes(source).next().is_some() && !source.contains("fn affects(")
}

#[test]
fn what_lists_and_gets_show_is_written_through_doors_that_count() {
    let mut doors = 0;
    for path in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"))) {
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(!shares_a_write_unsaid(&source), "{}", path.display());
        for function in functions(&source) {
            doors += usize::from(function.contains(".read(") || function.contains(".acquire(Affects::None)"));
            let name = function.split('(').next().unwrap();
            assert_eq!(fault(function), None, "{}: {name}", path.display());
        }
    }
    assert!(doors > 30, "{doors} functions that read");
}

#[test]
fn a_write_through_the_wrong_door_is_noticed() {
    assert!(fault("f() { db.read(id); query!(\"DELETE FROM lines\") }").is_some());
    assert!(fault("f() { db.acquire(Affects::None); query!(\"UPDATE messages SET text\") }").is_some());
    assert!(fault("f() { db.acquire(Affects::None); query!(\"INSERT INTO lines (number)\") }").is_none());
    assert!(
        fault("f() { db.acquire(Affects::organization(id)); query!(\"UPDATE messages SET text\") }")
            .is_none()
    );
    let shared = "impl Shared for Edit {} async fn edit() { query!(\"UPDATE messages SET text\") }";
    assert!(shares_a_write_unsaid(shared));
    assert!(!shares_a_write_unsaid(&shared.replace("{} async", "{ fn affects() {} } async")));
}
