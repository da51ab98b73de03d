use serde_json::{Value, json};

use super::{parse, parse_status, status};
use crate::carrier_webhooks::event::{Event, StatusUpdate};
use crate::domain::{DeliveryStatus, Transport};
use crate::messaging::inbound::RawText;

/// A documented body, with changes.
fn inbound(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({
        "accountEmail": "ops@example.com", "content": "Hello", "is_outbound": false, "status": "RECEIVED",
        "error_code": null, "error_message": null, "error_reason": null, "error_detail": null,
        "message_handle": "E1B2", "date_sent": "2026-11-22T19:04:39.123Z", "date_updated": "2026-11-22T19:04:39.456Z",
        "from_number": "+15551230001", "number": "+15551230001", "to_number": "+12025550101",
        "sendblue_number": "+12025550101", "was_downgraded": null, "plan": "blue", "media_url": "",
        "message_type": "message", "group_id": "", "participants": ["+15551230001", "+12025550101"],
        "send_style": "", "opted_out": false, "service": "iMessage", "group_display_name": null,
    });
    change(&mut body);
    body
}

fn outbound(status: &str, change: impl FnOnce(&mut Value)) -> Value {
    inbound(|body| {
        body["is_outbound"] = json!(true);
        body["status"] = json!(status);
        body["from_number"] = json!("+12025550101");
        body["number"] = json!("+15551230001");
        body["to_number"] = json!("+15551230001");
        change(body);
    })
}

#[track_caller]
fn text(body: &Value) -> RawText {
    match parse(body) {
        Event::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn status_update(event: Event) -> StatusUpdate {
    match event {
        Event::Status(update) => update,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_fields_of_a_text_are_parsed() {
    let raw = text(&inbound(|_| {}));
    assert_eq!((raw.line_number.as_str(), raw.remote_number.as_str()), ("+12025550101", "+15551230001"));
    assert_eq!((raw.text.as_deref(), raw.provider_message_id.as_str()), (Some("Hello"), "E1B2"));
    assert_eq!(raw.sent_at.map(|time| time.timestamp_millis()), Some(1_795_374_279_123));
    assert!(raw.media.is_empty());
}

#[test]
fn older_bodies_have_fewer_fields() {
    let raw = text(&inbound(|body| {
        body.as_object_mut().unwrap().remove("sendblue_number");
        body.as_object_mut().unwrap().remove("from_number");
        body.as_object_mut().unwrap().remove("is_outbound");
    }));
    assert_eq!((raw.line_number.as_str(), raw.remote_number.as_str()), ("+12025550101", "+15551230001"));
}

#[test]
fn media_and_transport_are_parsed() {
    let raw = text(&inbound(|body| {
        body["content"] = json!("");
        body["media_url"] = json!("https://storage.example/1.png");
        body["service"] = json!("SMS");
    }));
    assert_eq!((raw.text, raw.media[0].url.as_str()), (None, "https://storage.example/1.png"));
    assert_eq!(raw.transport, Transport::Sms);
    assert_eq!(text(&inbound(|body| body["service"] = json!("RCS"))).transport, Transport::Rcs);
    assert_eq!(text(&inbound(|body| body["service"] = Value::Null)).transport, Transport::IMessage);
}

#[test]
fn a_mark_of_a_file_is_no_text() {
    let raw = text(&inbound(|body| {
        body["content"] = json!("\u{fffc}");
        body["media_url"] = json!("https://storage.example/1.png");
    }));
    assert_eq!((raw.text, raw.media.len()), (None, 1));
}

#[test]
fn all_of_several_files_are_kept() {
    let raw = text(&inbound(|body| {
        body["media_url"] = json!("https://storage.example/1.png");
        body["media_urls"] = json!(["https://storage.example/1.png", "https://storage.example/2.png"]);
    }));
    let files: Vec<_> = raw.media.iter().map(|file| file.url.as_str()).collect();
    assert_eq!(files, ["https://storage.example/1.png", "https://storage.example/2.png"]);
}

#[test]
fn a_message_without_a_handle_gets_an_id_that_is_the_same_for_each_delivery() {
    let without = |content: &str| {
        text(&inbound(|body| {
            body["message_handle"] = Value::Null;
            body["content"] = json!(content);
        }))
        .provider_message_id
    };
    assert_eq!(without("Hello"), without("Hello"));
    assert_ne!(without("Hello"), without("Hello again"));
}

#[test]
fn missing_fields_are_left_to_the_validation() {
    let raw = text(&inbound(|body| {
        for name in ["from_number", "number", "to_number", "sendblue_number", "date_sent"] {
            body[name] = json!(7);
        }
    }));
    assert_eq!((raw.line_number, raw.remote_number), Default::default());
    assert_eq!(raw.sent_at, None);
}

#[test]
fn groups_and_other_events_are_ignored() {
    for body in [
        inbound(|body| body["group_id"] = json!("g1")),
        inbound(|body| body["message_type"] = json!("group")),
        inbound(|body| body["content"] = json!("")),
        inbound(|body| body["content"] = json!("\u{fffd}")),
        inbound(|body| body["from_number"] = json!("72975")),
        inbound(|body| body["participants"] = json!(["+1", "+2", "+3"])),
        outbound("SENT", |body| body["group_id"] = json!("g1")),
        outbound("RECEIVED", |_| {}),
        outbound("NEW_WORD", |_| {}),
        json!({ "number": "+15551230001", "is_typing": true }),
        json!({}),
    ] {
        assert!(matches!(parse(&body), Event::Ignored(_)), "{body}");
    }
}

#[test]
fn an_echo_is_a_status_update_of_an_outbound_message() {
    let event = status_update(parse(&outbound("DELIVERED", |body| body["was_downgraded"] = json!(true))));
    assert_eq!(
        (event.update.line_number.as_str(), event.update.provider_message_id.as_str()),
        ("+12025550101", "E1B2")
    );
    assert_eq!((event.update.status, event.update.error), (Some(DeliveryStatus::Delivered), None));
    assert!(event.update.was_downgraded && event.other_id.is_none() && event.sent_at.is_some());
}

#[test]
fn an_error_has_sendblues_code_and_never_its_description() {
    for (code, expected) in [
        (json!(10_001), "10001"),
        (json!("SMS_LIMIT_REACHED"), "SMS_LIMIT_REACHED"),
        (json!("+12025550101"), "LINE_REFUSED"),
        (Value::Null, "LINE_REFUSED"),
    ] {
        let body = outbound("ERROR", |body| {
            body["error_code"] = code.clone();
            body["error_message"] = json!("+12025550101 could not send");
            body["error_detail"] = json!("+12025550101");
        });
        let error = status_update(parse(&body)).update.error.unwrap();
        assert_eq!(error.code, expected);
        assert!(!error.message.contains("2025550101") && !error.message.is_empty(), "{error:?}");
    }
    let no_error = outbound("SENT", |body| body["error_code"] = json!(22));
    assert_eq!(status_update(parse(&no_error)).update.error, None);
}

#[test]
fn the_status_url_accepts_status_updates_only() {
    assert!(matches!(parse_status(&inbound(|_| {})), Event::Ignored(_)));
    assert_eq!(
        status_update(parse_status(&outbound("SENT", |_| {}))).update.status,
        Some(DeliveryStatus::Sent)
    );
    let sparse = json!({ "status": "SENT", "message_handle": "E1B2", "from_number": "+12025550101" });
    assert_eq!(status_update(parse_status(&sparse)).update.provider_message_id, "E1B2");
}

#[test]
fn every_documented_status_is_mapped() {
    use DeliveryStatus::{Accepted, Declined, Delivered, Error, Pending, Queued, Registered, Sent};
    for (word, meaning) in [
        ("REGISTERED", Some(Registered)),
        ("PENDING", Some(Pending)),
        ("QUEUED", Some(Queued)),
        ("ACCEPTED", Some(Accepted)),
        ("SENT", Some(Sent)),
        ("SUCCESS", Some(Sent)),
        ("DELIVERED", Some(Delivered)),
        ("READ", Some(Delivered)),
        ("DECLINED", Some(Declined)),
        ("ERROR", Some(Error)),
        ("error", Some(Error)),
        ("RECEIVED", None),
        ("", None),
        ("LATER", None),
    ] {
        assert_eq!(status(word), meaning, "{word}");
    }
}
