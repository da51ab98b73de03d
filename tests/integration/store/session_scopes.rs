//! Each function of the store declares the writes that it makes. An undeclared write would not be tracked, and its caller
//! could read from a replica that does not have it yet.

use std::path::Path;

use crate::store::sources::sources;

/// Writes that no list or get shows to their caller at once: deletions by age, the last use of a key, and what only
/// operators create or change.
const NOT_SHOWN: [&str; 20] = [
    "UPDATE api_keys k SET last_used_at",
    "UPDATE router_keys k SET last_used_at",
    "DELETE FROM idempotency_keys",
    "DELETE FROM router_commands",
    "INSERT INTO awaited_files",
    "DELETE FROM awaited_files",
    "DELETE FROM sent_messages",
    "UPDATE router_replies",
    "DELETE FROM router_replies",
    "DELETE FROM forgotten_texts",
    "DELETE FROM events",
    "INSERT INTO cursor_keys",
    "INSERT INTO lines",
    "UPDATE lines SET paused_at",
    "DELETE FROM lines",
    "DELETE FROM audit_log",
    "UPDATE lines SET back_fill",
    "INSERT INTO early_statuses",
    "UPDATE messages m SET look_up_at",
    "INSERT INTO organizations",
];
const WRITES: [&str; 3] = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];

/// The functions of a source file, each from its name to its closing brace.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    source.split("async fn ").skip(1).map(|rest| rest.split("\n}\n").next().unwrap_or(rest))
}

/// The writes of a function, each from the start of its statement. `FOR UPDATE` is a lock, and
/// `DO UPDATE` a part of an insert.
fn writes(function: &str) -> impl Iterator<Item = &str> {
    let starts = WRITES.iter().flat_map(|write| function.match_indices(write).map(|(at, _)| at));
    starts
        .filter(|at| !function[..*at].ends_with("FOR ") && !function[..*at].ends_with("DO "))
        .map(|at| &function[at..])
}

fn undeclared_write(function: &str) -> Option<&str> {
    let reads_only = function.contains(".read(");
    let only_decides = function.contains(".acquire(Affects::None)");
    let is_not_shown = |write: &str| NOT_SHOWN.iter().any(|shown| write.starts_with(shown));
    writes(function).find(|write| reads_only || (only_decides && !is_not_shown(write)))
}

/// Whether a source has a batch query that writes and does not declare what it affects.
fn has_undeclared_batch_write(source: &str) -> bool {
    source.contains("impl BatchQuery for")
        && writes(source).next().is_some()
        && !source.contains("fn affects(")
}

#[test]
fn every_write_that_lists_and_gets_show_is_declared() {
    let mut readers = 0;
    for path in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"))) {
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(!has_undeclared_batch_write(&source), "{}", path.display());
        for function in functions(&source) {
            readers +=
                usize::from(function.contains(".read(") || function.contains(".acquire(Affects::None)"));
            let name = function.split('(').next().unwrap();
            assert_eq!(undeclared_write(function), None, "{}: {name}", path.display());
        }
    }
    assert!(readers > 30, "{readers} functions that read");
}

#[test]
fn an_undeclared_write_is_detected() {
    assert!(undeclared_write("f() { db.read(id); query!(\"DELETE FROM lines\") }").is_some());
    assert!(
        undeclared_write("f() { db.acquire(Affects::None); query!(\"UPDATE messages SET text\") }").is_some()
    );
    assert!(
        undeclared_write("f() { db.acquire(Affects::None); query!(\"INSERT INTO lines (number)\") }")
            .is_none()
    );
    assert!(
        undeclared_write(
            "f() { db.acquire(Affects::organization(id)); query!(\"UPDATE messages SET text\") }"
        )
        .is_none()
    );
    let batch = "impl BatchQuery for Edit {} async fn edit() { query!(\"UPDATE messages SET text\") }";
    assert!(has_undeclared_batch_write(batch));
    assert!(!has_undeclared_batch_write(&batch.replace("{} async", "{ fn affects() {} } async")));
}
