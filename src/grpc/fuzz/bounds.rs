//! A second implementation of the documented bounds of all fields, independent of the parsers.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};

use super::Key;
use crate::clock::{Clock as _, SystemClock};

/// The fields that violate a bound, as `BadRequest` names them.
pub(super) fn wrong_fields(rpc: &str, key: Key, message: &DynamicMessage) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    for field in message.descriptor().fields() {
        check(rpc, message, &field, &mut wrong);
    }
    relations(rpc, key, message, &mut wrong);
    wrong
}

/// Whether a request has a well-formed page token.
pub(super) fn has_token(message: &DynamicMessage) -> bool {
    text_of(message, "page_token").is_some_and(|token| is_token(&token))
}

fn check(rpc: &str, message: &DynamicMessage, field: &FieldDescriptor, wrong: &mut BTreeSet<String>) {
    let name = field.name();
    let is_there = message.has_field(field);
    // A field without presence always has a value.
    let counts = is_there || !field.supports_presence();
    let value = message.get_field(field);
    let text = || value.as_str().unwrap_or_default();
    let is_wrong = counts
        && match name {
            "identity_id" if rpc == "IdentityService/GetIdentity" && has(message, "agent_handle") => {
                !text().is_empty()
            }
            "agent_identity_id"
            | "identity_id"
            | "connection_id"
            | "conversation_id"
            | "message_id"
            | "reaction_id"
            | "contact_rule_id"
            | "api_key_id"
            | "reply_to_message_id"
            | "up_to_message_id" => !is_uuid(text()),
            "limit" if rpc == "SandboxService/ListDeliveries" => !(1..=1_000).contains(&number(&value)),
            "limit" => !(1..=200).contains(&number(&value)),
            "wait_seconds" => !(0..=30).contains(&number(&value)),
            "duration_seconds" => !(1..=600).contains(&number(&value)),
            "offset" => number(&value) < 0,
            "page_token" => !text().is_empty() && (has(message, "offset") || !is_token(text())),
            "line_number" | "remote_number" | "match_target" | "to" => !is_e164(text()),
            "provider_message_id" | "target_provider_message_id" => {
                text().is_empty() || !is_text(text(), 255)
            }
            "custom_emoji" => text().is_empty() || !is_text(text(), 64),
            "description" => !is_text(text(), 1_000),
            "label" | "display_name" => !is_text(text(), 255),
            "agent_handle" => !is_handle(text()),
            "text" => !is_text(text(), 18_996),
            "idempotency_key" => {
                !(1..=255).contains(&text().len()) || !text().chars().all(|c| matches!(c, ' '..='~'))
            }
            "part_index" => !(0..32).contains(&number(&value)),
            "expires_at" => !is_time(&value) || !is_future(&value),
            "sent_at" | "start_time" | "end_time" => !is_time(&value),
            "action" | "status" | "reaction" | "filter_mode" | "send_style" | "transport" => {
                is_wrong_enum(rpc, name, field, &value)
            }
            "media" => {
                files(&value, wrong);
                false
            }
            "types" => {
                for (n, kind) in value.as_list().expect("a list").iter().enumerate() {
                    if !kind.as_enum_number().is_some_and(|number| (1..=9).contains(&number)) {
                        wrong.insert(format!("types[{n}]"));
                    }
                }
                false
            }
            "media_urls" => {
                addresses(&value, wrong);
                false
            }
            "error" => {
                let error = value.as_message().expect("a message");
                for part in ["code", "message"] {
                    if !is_text(&text_of(error, part).unwrap_or_default(), 1_000) {
                        wrong.insert(format!("error.{part}"));
                    }
                }
                false
            }
            // Whether it is a cursor is seen with the key of the database.
            "after"
            | "imessage_enabled"
            | "is_blocked"
            | "is_read"
            | "plain_reply_fallback"
            | "removed"
            | "was_downgraded" => false,
            other => panic!("{rpc}: add the bound of {other}"),
        };
    if is_wrong {
        wrong.insert(name.to_owned());
    }
}

/// Bounds that involve two fields.
fn relations(rpc: &str, key: Key, message: &DynamicMessage, wrong: &mut BTreeSet<String>) {
    if text_of(message, "page_token").is_some_and(|token| !token.is_empty()) && has(message, "offset") {
        wrong.insert("offset".to_owned());
    }
    let names_no_identity = key == Key::Admin && !has(message, "agent_identity_id");
    let says_nothing = text_of(message, "text").is_none_or(|text| text.is_empty());
    match rpc {
        "IdentityService/GetIdentity"
            if has(message, "agent_handle")
                && text_of(message, "identity_id").is_some_and(|id| !id.is_empty()) =>
        {
            wrong.extend(["agent_handle", "identity_id"].map(str::to_owned));
        }
        "ContactRuleService/CreateContactRule" if names_no_identity => {
            wrong.insert("agent_identity_id".to_owned());
        }
        "MessageService/SendMessage" => {
            if !has(message, "to") && !has(message, "conversation_id") {
                wrong.insert("target".to_owned());
            }
            if has(message, "to") && names_no_identity {
                wrong.insert("agent_identity_id".to_owned());
            }
            if says_nothing && !has(message, "media_urls") {
                wrong.insert("text".to_owned());
            }
        }
        "RouterService/ReceiveMessage" if says_nothing && !has(message, "media") => {
            wrong.insert("text".to_owned());
        }
        "RouterService/ReceiveReaction" if !wrong.contains("reaction") && !wrong.contains("custom_emoji") => {
            let reaction = message.get_field_by_name("reaction").and_then(|value| value.as_enum_number());
            if (reaction == Some(8)) != has(message, "custom_emoji") {
                wrong.insert("custom_emoji".to_owned());
            }
        }
        _ => {}
    }
}

fn is_wrong_enum(rpc: &str, name: &str, field: &FieldDescriptor, value: &Value) -> bool {
    let number = value.as_enum_number().expect("a number");
    let Kind::Enum(values) = field.kind() else { panic!("{name} is no enum") };
    let is_required = matches!(
        rpc,
        "ContactRuleService/CreateContactRule"
            | "MessageService/SendReaction"
            | "RouterService/ReceiveReaction"
            | "RouterService/UpdateDeliveryStatus"
    );
    // Agents cannot send CUSTOM, and RECEIVED is a status of inbound messages.
    let is_inbound_only = matches!(
        (rpc, number),
        ("MessageService/SendReaction", 8) | ("RouterService/UpdateDeliveryStatus", 9)
    );
    values.get_value(number).is_none() || number == 0 && is_required || is_inbound_only
}

fn files(value: &Value, wrong: &mut BTreeSet<String>) {
    let files = value.as_list().expect("a list");
    if files.len() > 20 {
        wrong.insert("media".to_owned());
        return;
    }
    for (n, file) in files.iter().enumerate() {
        let file = file.as_message().expect("a message");
        let url = text_of(file, "url").unwrap_or_default();
        if url.is_empty() || !is_text(&url, 8_192) {
            wrong.insert(format!("media[{n}].url"));
        }
        if !is_text(&text_of(file, "content_type").unwrap_or_default(), 255) {
            wrong.insert(format!("media[{n}].content_type"));
        }
        if file.get_field_by_name("size_bytes").is_some_and(|size| size.as_i64().is_some_and(|size| size < 0))
        {
            wrong.insert(format!("media[{n}].size_bytes"));
        }
    }
}

fn addresses(value: &Value, wrong: &mut BTreeSet<String>) {
    match value.as_list().expect("a list") {
        [] => {}
        [one] => {
            let address = one.as_str().expect("a text");
            let host = address.to_lowercase().strip_prefix("https://").map(|rest| rest.chars().next());
            let has_form = host.is_some_and(|first| !matches!(first, None | Some('/' | '\\')))
                && address.chars().all(|c| !c.is_whitespace() && !c.is_control())
                && url::Url::parse(address).is_ok_and(|url| url.scheme() == "https" && url.has_host());
            if !is_text(address, 2_048) || !has_form {
                wrong.insert("media_urls[0]".to_owned());
            }
        }
        _ => _ = wrong.insert("media_urls".to_owned()),
    }
}

fn has(message: &DynamicMessage, field: &str) -> bool {
    message.has_field_by_name(field)
}

fn text_of(message: &DynamicMessage, field: &str) -> Option<String> {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned))
}

fn number(value: &Value) -> i32 {
    value.as_i32().expect("a number")
}

fn is_text(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.contains('\0')
}

fn is_uuid(text: &str) -> bool {
    let is_right = |(n, c): (usize, char)| match n {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    };
    text.chars().count() == 36 && text.chars().enumerate().all(is_right)
}

fn is_e164(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or_default();
    (2..=15).contains(&rest.len()) && !rest.starts_with('0') && rest.chars().all(|c| c.is_ascii_digit())
}

fn is_handle(text: &str) -> bool {
    let name = text.strip_prefix('@').unwrap_or(text);
    (1..=255).contains(&name.chars().count())
        && !name.starts_with('@')
        && name.chars().all(|c| !c.is_whitespace() && !c.is_control())
}

/// Version 1, 16 bytes of binding, microseconds in the years 1 to 9999, 16 bytes of id.
fn is_token(text: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return false };
    let Ok(bytes) = <[u8; 41]>::try_from(bytes) else { return false };
    let micros = i64::from_be_bytes(bytes[17..25].try_into().expect("8 bytes"));
    let year = DateTime::from_timestamp_micros(micros).map(|time| time.year());
    bytes[0] == 1 && year.is_some_and(|year| (1..=9_999).contains(&year))
}

fn seconds_and_nanos(time: &Value) -> (i64, i32) {
    let time = time.as_message().expect("a message");
    let seconds = time.get_field_by_name("seconds").and_then(|value| value.as_i64());
    let nanos = time.get_field_by_name("nanos").and_then(|value| value.as_i32());
    (seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

fn is_time(time: &Value) -> bool {
    let (seconds, nanos) = seconds_and_nanos(time);
    (-62_135_596_800..=253_402_300_799).contains(&seconds) && (0..1_000_000_000).contains(&nanos)
}

/// No generated time is within a minute of the present.
fn is_future(time: &Value) -> bool {
    seconds_and_nanos(time).0 > SystemClock.now().timestamp()
}
