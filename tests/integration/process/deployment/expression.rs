//! The arithmetic of docs/deployment.md: `INKBOX_CONNECTIONS` × (64 KiB + 2 × 1,024 B).

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Its value in bytes. A name in backquotes stands for its value in `names`.
pub(super) fn value(expression: &str, names: &BTreeMap<String, u64>) -> u64 {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    let mut tokens = tokens.into_iter().peekable();
    let value = sum(&mut tokens, names);
    assert_eq!(tokens.next(), None, "{expression}");
    value
}

/// A size such as `64 MiB`, `64MiB` or `64Mi`, or a plain number.
pub(super) fn size(text: &str) -> u64 {
    let (digits, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()));
    number(digits.trim()) * factor(unit).unwrap_or_else(|| panic!("{text}"))
}

fn factor(unit: &str) -> Option<u64> {
    match unit {
        "" | "B" => Some(1),
        "KiB" | "Ki" => Some(1 << 10),
        "MiB" | "Mi" => Some(1 << 20),
        _ => None,
    }
}

fn number(digits: &str) -> u64 {
    digits.replace(',', "").parse().unwrap_or_else(|_| panic!("{digits:?} is no number"))
}

type Tokens = Peekable<IntoIter<String>>;

fn sum(tokens: &mut Tokens, names: &BTreeMap<String, u64>) -> u64 {
    let mut value = product(tokens, names);
    while tokens.next_if_eq("+").is_some() {
        value += product(tokens, names);
    }
    value
}

fn product(tokens: &mut Tokens, names: &BTreeMap<String, u64>) -> u64 {
    let mut value = operand(tokens, names);
    while tokens.next_if_eq("×").is_some() {
        value *= operand(tokens, names);
    }
    value
}

fn operand(tokens: &mut Tokens, names: &BTreeMap<String, u64>) -> u64 {
    let token = tokens.next().expect("an operand");
    if token == "(" {
        let value = sum(tokens, names);
        assert_eq!(tokens.next().as_deref(), Some(")"));
        return value;
    }
    if let Some(name) = token.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
        return *names.get(name).unwrap_or_else(|| panic!("no value of {name}"));
    }
    let unit = tokens.next_if(|unit| factor(unit).is_some());
    number(&token) * factor(unit.as_deref().unwrap_or_default()).unwrap()
}

#[test]
fn products_come_before_sums_and_units_belong_to_their_number() {
    let names = BTreeMap::from([("N".to_owned(), 3)]);
    for (expression, expected) in [
        ("7", 7),
        ("2 KiB", 2048),
        ("1 + 2 × 3", 7),
        ("(1 + `N`) × 2 × 1,000 B", 8000),
        ("`N` × (1 B + 1 MiB)", 3_145_731),
    ] {
        assert_eq!(value(expression, &names), expected, "{expression}");
    }
    assert_eq!((size("64MiB"), size("896Mi"), size("16")), (64 << 20, 896 << 20, 16));
}
