//! Field names of log lines and spans, read from the `tracing` macros in src/: some are only logged when a carrier or the
//! database misbehaves, so running the service does not show them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::assert_frozen;

const MACROS: [&str; 11] = [
    "error!",
    "warn!",
    "info!",
    "debug!",
    "trace!",
    "error_span!",
    "warn_span!",
    "info_span!",
    "debug_span!",
    "trace_span!",
    "record_all!",
];

/// Every source text below a folder.
fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// The top-level arguments of a macro call whose text begins after its opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut arguments, mut current, mut depth) = (Vec::new(), String::new(), 0);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                current.push('"');
                while let Some(inside) = characters.next() {
                    match inside {
                        '\\' => drop(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(character);
    }
    arguments.push(current);
    arguments
}

/// The field that a macro's argument sets: `name = value`, or `name`, `%name`, `?name` in short.
fn field(argument: &str) -> Option<String> {
    let name = argument.split_once('=').map_or(argument, |(name, _)| name).trim();
    let name = name.trim_start_matches(['%', '?', '&']);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c));
    is_name.then(|| name.to_owned())
}

fn fields_in(source: &str) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for (at, _) in source.match_indices("tracing::") {
        let call = &source[at + "tracing::".len()..];
        let Some(rest) = MACROS.iter().find_map(|name| call.strip_prefix(name)?.strip_prefix('(')) else {
            continue;
        };
        let arguments = arguments(rest);
        let is_record = call.starts_with("record_all!");
        // The first argument of `record_all!` is the span; `target:` and `parent:` are no fields, nor is a message.
        fields.extend(arguments.iter().skip(usize::from(is_record)).filter_map(|argument| field(argument)));
    }
    fields
}

#[test]
fn log_field_names() {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let fields: BTreeSet<_> = texts.iter().flat_map(|text| fields_in(text)).collect();
    let lines: Vec<_> = fields.into_iter().map(|field| field + "\n").collect();
    assert_frozen("log_fields.txt", &lines.concat());
}

#[test]
fn the_fields_of_a_macro_call_are_found_in_each_form() {
    let source =
        r#"tracing::warn!(parent: &log, error = %f(a, "x, y"), why, ?what.of, "said {why}, twice");"#;
    let found: Vec<_> = fields_in(source).into_iter().collect();
    assert_eq!(found, ["error", "what.of", "why"]);
}
