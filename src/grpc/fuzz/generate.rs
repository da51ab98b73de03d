//! Random changes of a protobuf message that keep it decodable.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::IDENTITY;
use crate::fuzzing::{mutated, once_in, pick, text};

/// Lengths at and beyond every bound.
const LENGTHS: [usize; 14] = [0, 1, 63, 64, 65, 254, 255, 256, 1_000, 1_001, 2_048, 2_049, 18_996, 18_997];

/// Changes up to three fields.
pub(super) fn change(message: &mut DynamicMessage, random: &mut StdRng) {
    for _ in 0..random.random_range(0..=3) {
        let fields: Vec<_> = message.descriptor().fields().collect();
        if fields.is_empty() {
            return;
        }
        let field = pick(&fields, random);
        if once_in(6, random) {
            message.clear_field(field);
            continue;
        }
        let before = message.get_field(field).into_owned();
        let value = match before {
            Value::List(items) => list(field, items, random),
            before => one(field, &before, random),
        };
        message.set_field(field, value);
    }
}

fn list(field: &FieldDescriptor, mut items: Vec<Value>, random: &mut StdRng) -> Value {
    match random.random_range(0..4) {
        0 => items.truncate(random.random_range(0..=items.len())),
        1 if !items.is_empty() => {
            let again = items[0].clone();
            items.resize(*pick(&[1, 2, 19, 20, 21, 40], random), again);
        }
        _ => {
            let before = items.pop().unwrap_or_else(|| match field.kind() {
                Kind::Message(message) => Value::Message(DynamicMessage::new(message)),
                _ => Value::String("https://files.example/a.png".to_owned()),
            });
            items.push(one(field, &before, random));
        }
    }
    Value::List(items)
}

fn one(field: &FieldDescriptor, before: &Value, random: &mut StdRng) -> Value {
    let few = [0, 1, -1, 31, 32, 33, 199, 200, 201, i32::MAX, i32::MIN];
    match (field.kind(), before) {
        (Kind::String, Value::String(before)) => Value::String(string(before, random)),
        (Kind::Int32, _) => Value::I32(*pick(&few, random)),
        // Seconds: the bounds of a valid timestamp, values beyond them, the past, and a hundred years ahead.
        (Kind::Int64, _) => {
            let ends = [0, -1, -62_135_596_800, -62_135_596_801, 253_402_300_799, 253_402_300_800];
            let far = [4_900_000_000, i64::MAX, i64::MIN, random.random_range(0..1_000_000_000)];
            Value::I64(*pick(&[&ends[..], &far[..]].concat(), random))
        }
        (Kind::Bool, _) => Value::Bool(random.random()),
        (Kind::Enum(_), _) => Value::EnumNumber(match random.random_range(0..8) {
            0 => *pick(&few, random),
            _ => random.random_range(0..15),
        }),
        (Kind::Message(_), Value::Message(before)) => {
            let mut message = before.clone();
            change(&mut message, random);
            Value::Message(message)
        }
        (_, before) => before.clone(),
    }
}

fn string(before: &str, random: &mut StdRng) -> String {
    match random.random_range(0..12) {
        0 => pick(&["a", "é", "🎉", " ", "\0"], random).repeat(*pick(&LENGTHS, random)),
        1 => {
            // A valid prefix, with the length of a bound.
            let length = *pick(&LENGTHS, random);
            let start = *pick(&["https://files.example/", "+1555", ""], random);
            format!("{start}{}", "a".repeat(length.saturating_sub(start.len())))
        }
        2 => IDENTITY.to_string(),
        3 => uuid::Uuid::from_u128(random.random()).to_string(),
        4 => {
            let id = IDENTITY;
            let forms = [
                id.simple().to_string(),
                id.braced().to_string(),
                id.urn().to_string(),
                id.to_string().to_uppercase(),
                format!("{}g", &id.to_string()[..35]),
            ];
            pick(&forms, random).clone()
        }
        5 => {
            let digits = random.random_range(1..18);
            format!("+{}", random.random_range(0..10_u64.pow(digits)))
        }
        6 => token(random),
        7 => pick(&["https://a", "https://", "http://a/", "HTTPS://A/b", "https:a", "file:///x"], random)
            .to_string(),
        8 => String::new(),
        _ => text(&mutated(before.as_bytes(), &[], random)),
    }
}

/// A forged page token, usually well-formed.
fn token(random: &mut StdRng) -> String {
    let mut bytes: [u8; 41] = random.random();
    bytes[0] = 1 + u8::from(once_in(8, random));
    if !once_in(4, random) {
        bytes[17..25].copy_from_slice(&random.random_range(0..4_000_000_000_000_000_i64).to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}
