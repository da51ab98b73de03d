//! What must not change when code is moved or renamed, written out in the text files of this folder.
//!
//! Clients, dashboards, scripts and log queries depend on these names and bytes. A deliberate change edits the text
//! file in the same commit and is described in CHANGELOG.md.

mod errors;
mod log_fields;
mod metrics;
mod page_tokens;
mod settings;
mod validation;

use std::fs;
use std::path::Path;

/// Asserts that `actual` equals `tests/api/freeze/<name>`. On a difference, the actual text is written to
/// `target/freeze/<name>`, so that both can be compared with `diff`.
#[track_caller]
fn assert_frozen(name: &str, actual: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let frozen = root.join("tests/api/freeze").join(name);
    let expected = fs::read_to_string(&frozen).unwrap_or_default();
    if expected == actual {
        return;
    }
    let folder = root.join("target/freeze");
    fs::create_dir_all(&folder).unwrap();
    let found = folder.join(name);
    fs::write(&found, actual).unwrap();
    let (removed, added) = (missing_lines(&expected, actual), missing_lines(actual, &expected));
    panic!("diff {} {}\nremoved: {removed:#?}\nadded: {added:#?}", frozen.display(), found.display());
}

/// Lines of `of` that `from` does not have.
fn missing_lines<'a>(of: &'a str, from: &str) -> Vec<&'a str> {
    of.lines().filter(|line| !from.lines().any(|other| other == *line)).collect()
}
