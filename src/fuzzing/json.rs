//! Random mutations of JSON values, whose result is JSON.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{mutated, once_in, pick};

/// Replaces, mutates or removes some of the nested values.
pub(crate) fn mutated_value(value: &Value, seeds: &[Value], random: &mut StdRng) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| {
                let value = match random.random_range(0..24) {
                    0 => return None,
                    1 => random_value(seeds, random),
                    _ => mutated_value(value, seeds, random),
                };
                Some((name.clone(), value))
            })
            .collect(),
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(|item| mutated_value(item, seeds, random)).collect();
            if once_in(12, random) {
                let again = items.first().cloned().unwrap_or_else(|| random_value(seeds, random));
                items.resize(random.random_range(0..40), again);
            }
            Value::Array(items)
        }
        Value::String(text) if once_in(6, random) => {
            let other = random_string(pick(seeds, random), random).into_bytes();
            let bytes = mutated(text.as_bytes(), &[other], random);
            json!(super::text(&bytes))
        }
        Value::Number(_) if once_in(6, random) => number(random),
        Value::Bool(value) if once_in(6, random) => json!(!value),
        other => other.clone(),
    }
}

fn random_value(seeds: &[Value], random: &mut StdRng) -> Value {
    match random.random_range(0..8) {
        0 => Value::Null,
        1 => json!(random.random::<bool>()),
        2 => number(random),
        3 => json!([]),
        4 => json!({}),
        5 => json!(""),
        6 => pick(seeds, random).clone(),
        _ => json!(random_string(pick(seeds, random), random)),
    }
}

fn number(random: &mut StdRng) -> Value {
    let boundaries =
        [0, 1, -1, 31, 32, 200, 201, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
    match random.random_range(0..3) {
        0 => json!(pick(&boundaries, random)),
        1 => json!(random.random_range(-20..40)),
        _ => json!(random.random::<f64>() * 1e18),
    }
}

/// Returns a string from anywhere in a value.
fn random_string(value: &Value, random: &mut StdRng) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if !items.is_empty() => random_string(pick(items, random), random),
        Value::Object(fields) if !fields.is_empty() => {
            let values: Vec<_> = fields.values().collect();
            random_string(pick::<&Value>(&values, random), random)
        }
        other => other.to_string(),
    }
}
