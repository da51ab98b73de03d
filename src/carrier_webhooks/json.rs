//! Accessors for a carrier's JSON. A field of an unexpected type counts as absent, so that a carrier's change of a field
//! that is not essential does not lose messages.

use chrono::{DateTime, Datelike as _, SubsecRound as _, Utc};
use serde_json::Value;

/// A string that is not empty.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The first of several fields that is a string and not empty.
pub(super) fn first<'a>(object: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| text(object, name))
}

/// A boolean; false if absent.
pub(super) fn flag(object: &Value, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// An error code, which may be a number or a string.
pub(super) fn code(object: &Value, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// A time such as `2026-11-22T19:04:39.000Z`.
pub(super) fn time(object: &Value, name: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text(object, name)?).ok()?;
    storable(time.with_timezone(&Utc))
}

/// A time in milliseconds since 1970. Zero and negative values count as absent.
pub(super) fn millis(object: &Value, name: &str) -> Option<DateTime<Utc>> {
    let millis = object.get(name)?.as_i64().filter(|millis| *millis > 0)?;
    storable(DateTime::from_timestamp_millis(millis)?)
}

/// The time as PostgreSQL stores it: in microseconds, of a smaller range of years than chrono's.
fn storable(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9_999).contains(&time.year()).then(|| time.trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{code, millis, text, time};

    #[test]
    fn a_field_of_another_type_counts_as_absent() {
        let object =
            json!({ "a": 1, "b": "", "c": "x", "d": null, "e": [], "f": -5, "g": i64::MAX, "h": "later" });
        assert_eq!(text(&object, "c"), Some("x"));
        for name in ["a", "b", "d", "e", "nothing"] {
            assert_eq!(text(&object, name), None, "{name}");
        }
        assert_eq!((code(&object, "a"), code(&object, "c")), (Some("1".to_owned()), Some("x".to_owned())));
        assert_eq!((code(&object, "b"), code(&object, "d"), code(&object, "e")), (None, None, None));
        for name in ["b", "c", "f", "g", "nothing"] {
            assert_eq!(millis(&object, name), None, "{name}");
        }
        assert_eq!(millis(&object, "a").map(|time| time.timestamp_millis()), Some(1));
        assert_eq!((time(&object, "h"), time(&object, "a")), (None, None));
        assert_eq!(text(&json!([1]), "a"), None);
    }
}
