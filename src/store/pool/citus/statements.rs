//! Splits a migration into statements.

/// The statements of a text, unchanged. On Citus each must be sent separately, because Citus forwards the text of a schema
/// change to the nodes as it received it.
#[must_use]
pub fn statements(sql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(';') {
            found.push(&sql[begin..at]);
            begin = at + 1;
        }
        at += token_length(rest);
    }
    found.push(&sql[begin..]);
    found.retain(|statement| is_statement(statement));
    found
}

/// The length of the comment, quoted text or character at the start of a text. One without an end extends to the end of the
/// text.
fn token_length(rest: &str) -> usize {
    let until = |end: &str, skipped: usize| {
        rest[skipped..].find(end).map_or(rest.len(), |at| skipped + at + end.len())
    };
    match rest.as_bytes() {
        [b'-', b'-', ..] => until("\n", 2),
        [b'/', b'*', ..] => until("*/", 2),
        // A doubled quote inside reads as the end of one quoted text and the start of the next.
        [b'\'', ..] => until("'", 1),
        [b'"', ..] => until("\"", 1),
        [b'$', ..] => match rest[1..].find('$') {
            Some(tag) if rest[1..=tag].chars().all(|c| c.is_alphanumeric() || c == '_') => {
                until(&rest[..tag + 2], tag + 2)
            }
            _ => 1,
        },
        _ => rest.chars().next().map_or(1, char::len_utf8),
    }
}

fn is_statement(statement: &str) -> bool {
    let mut at = 0;
    while let Some(rest) = statement.get(at..).filter(|rest| !rest.is_empty()) {
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if !is_comment && !rest.starts_with(char::is_whitespace) {
            return true;
        }
        at += token_length(rest);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_text_is_taken_apart_where_its_statements_end_and_nowhere_else() {
        let whole = [
            "SELECT 'a;b''c;'",
            "\n-- d;\nSELECT \"e;\"",
            " DO $$ BEGIN f; END $$",
            " DO $x$ g; $$ h; $x$",
            " SELECT $1, /* i; */ 'ü'",
        ];
        assert_eq!(statements(&format!("{};\n-- the end;\n", whole.join(";"))), whole);
        assert!(statements(" -- nothing;\n ; \n").is_empty());
        assert_eq!(statements("SELECT 'not ended;"), ["SELECT 'not ended;"]);
    }
}
