//! Taking a migration apart.

/// The statements of a text, each as it stands there. Where tables are distributed, each has to come alone: Citus hands a
/// change of the schema on to the nodes as the text it came in.
#[must_use]
pub fn statements(sql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(';') {
            found.push(&sql[begin..at]);
            begin = at + 1;
        }
        at += length_of_piece(rest);
    }
    found.push(&sql[begin..]);
    found.retain(|statement| says_something(statement));
    found
}

/// How long the comment, quotation or character is that a text begins with. What is not ended goes to the end.
fn length_of_piece(rest: &str) -> usize {
    let until = |end: &str, skipped: usize| {
        rest[skipped..].find(end).map_or(rest.len(), |at| skipped + at + end.len())
    };
    match rest.as_bytes() {
        [b'-', b'-', ..] => until("\n", 2),
        [b'/', b'*', ..] => until("*/", 2),
        // A doubled quote inside is the end of one and the beginning of the next.
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

fn says_something(statement: &str) -> bool {
    let mut at = 0;
    while let Some(rest) = statement.get(at..).filter(|rest| !rest.is_empty()) {
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if !is_comment && !rest.starts_with(char::is_whitespace) {
            return true;
        }
        at += length_of_piece(rest);
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
