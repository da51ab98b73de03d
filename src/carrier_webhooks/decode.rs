//! Decodes the JSON of a webhook, and repairs damaged characters first: a carrier does not deliver a message again in
//! which one character is wrong.

use serde_json::Value;

/// `None` if the body is not a JSON object.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    let decoded = serde_json::from_slice(body).or_else(|_| serde_json::from_str(&repaired(body)));
    decoded.ok().filter(Value::is_object)
}

/// The body as valid UTF-8 without a byte order mark, in which U+FFFD stands for what is not a character.
fn repaired(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut repaired = String::with_capacity(rest.len());
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let (replacement, length) = match code_unit(escape) {
            Some(0xd800..=0xdbff) if matches!(escape.get(6..).and_then(code_unit), Some(0xdc00..=0xdfff)) => {
                (&escape[..12], 12)
            }
            Some(0xd800..=0xdfff) => ("\\ufffd", 6),
            Some(_) => (&escape[..6], 6),
            // Another escape is the backslash and one character.
            None => {
                let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
                (&escape[..length], length)
            }
        };
        repaired.push_str(replacement);
        rest = &escape[length..];
    }
    repaired.push_str(rest);
    repaired
}

/// The code unit of UTF-16 at the beginning of a text such as `\ud83d`.
fn code_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::decode;

    #[test]
    fn damaged_characters_are_replaced_and_nothing_else_changes() {
        for (body, decoded) in [
            (&br#"{"a":"\udc4d"}"#[..], json!({ "a": "\u{fffd}" })),
            (br#"{"a":"\ud83d b"}"#, json!({ "a": "\u{fffd} b" })),
            (br#"{"a":"\ud83d\ud83d\udc4d"}"#, json!({ "a": "\u{fffd}\u{1f44d}" })),
            (br#"{"a":"\\ud83d \" \n \udc4d"}"#, json!({ "a": "\\ud83d \" \n \u{fffd}" })),
            (b"{\"a\":\"caf\xe9\"}", json!({ "a": "caf\u{fffd}" })),
            (b"\xef\xbb\xbf{\"a\":1}", json!({ "a": 1 })),
            (br#"{"a":"\ud83d\udc4d"}"#, json!({ "a": "\u{1f44d}" })),
        ] {
            assert_eq!(decode(body), Some(decoded), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn other_bodies_than_objects_are_not_decoded() {
        for body in [&b""[..], b"[]", b"1", b"{", br#"{"a":"\u12"}"#, br#"{"a":"\"#, b"\xff"] {
            assert_eq!(decode(body), None, "{}", String::from_utf8_lossy(body));
        }
    }
}
