//! The text of every query of the service, as it was checked at compile time: `.sqlx/`.

use std::collections::BTreeMap;

use serde_json::Value;

/// A query that the service runs.
#[derive(Debug, Clone)]
pub(crate) struct CheckedQuery {
    pub(crate) sql: String,
    /// PostgreSQL's names of the types of its parameters.
    pub(crate) parameters: Vec<String>,
}

/// All of them, by their text.
pub(crate) fn all() -> BTreeMap<String, CheckedQuery> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|file| {
            let json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let sql = json["query"].as_str().unwrap().to_owned();
            let parameters = json["describe"]["parameters"]["Left"].as_array().unwrap();
            let parameters = parameters.iter().map(|name| postgres_type(name.as_str().unwrap())).collect();
            (sql.clone(), CheckedQuery { sql, parameters })
        })
        .collect()
}

/// The one query whose text, with single blanks, begins so and contains all of this.
#[track_caller]
pub(crate) fn the_one(beginning: &str, containing: &[&str], without: &[&str]) -> CheckedQuery {
    let found: Vec<_> = all()
        .into_values()
        .filter(|query| {
            let text = query.sql.split_whitespace().collect::<Vec<_>>().join(" ");
            text.starts_with(beginning)
                && containing.iter().all(|part| text.contains(part))
                && !without.iter().any(|part| text.contains(part))
        })
        .collect();
    assert_eq!(
        found.len(),
        1,
        "one query with {beginning:?}, {containing:?}, without {without:?}: {found:#?}"
    );
    found.into_iter().next().unwrap()
}

/// What sqlx calls `TimestamptzArray`, PostgreSQL calls `timestamptz[]`.
fn postgres_type(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower.strip_suffix("array").map_or(lower.clone(), |element| format!("{element}[]"))
}

/// Words and signs of a statement, in lower case and without what is quoted.
pub(crate) fn tokens(sql: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    // Every second piece stands between quotes.
    for unquoted in sql.split(['\'', '"']).step_by(2) {
        let mut word = String::new();
        for c in unquoted.chars().chain([' ']) {
            if c.is_alphanumeric() || c == '_' {
                word.extend(c.to_lowercase());
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
        }
    }
    tokens
}
