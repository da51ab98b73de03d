use serde_json::{Value, json};

use super::{parse, parse_status, status};
use crate::carrier_webhooks::event::{Event, News};
use crate::domain::{DeliveryStatus, Transport};
use crate::messaging::inbound::RawText;

/// As documented and captured, with changes.
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
fn news(event: Event) -> News {
    match event {
        Event::News(news) => news,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_is_read_in_full() {
    let given = text(&inbound(|_| {}));
    assert_eq!((given.line_number.as_str(), given.remote_number.as_str()), ("+12025550101", "+15551230001"));
    assert_eq!((given.text.as_deref(), given.provider_message_id.as_str()), (Some("Hello"), "E1B2"));
    assert_eq!(given.sent_at.map(|time| time.timestamp_millis()), Some(1_795_374_279_123));
    assert!(given.media.is_empty());
}

#[test]
fn older_bodies_have_fewer_names_for_the_same() {
    let given = text(&inbound(|body| {
        body.as_object_mut().unwrap().remove("sendblue_number");
        body.as_object_mut().unwrap().remove("from_number");
        body.as_object_mut().unwrap().remove("is_outbound");
    }));
    assert_eq!((given.line_number.as_str(), given.remote_number.as_str()), ("+12025550101", "+15551230001"));
}

#[test]
fn media_and_transport_are_read() {
    let given = text(&inbound(|body| {
        body["content"] = json!("");
        body["media_url"] = json!("https://storage.example/1.png");
        body["service"] = json!("SMS");
    }));
    assert_eq!((given.text, given.media[0].url.as_str()), (None, "https://storage.example/1.png"));
    assert_eq!(given.transport, Transport::Sms);
    assert_eq!(text(&inbound(|body| body["service"] = json!("RCS"))).transport, Transport::Rcs);
    assert_eq!(text(&inbound(|body| body["service"] = Value::Null)).transport, Transport::IMessage);
}

#[test]
fn what_is_missing_is_left_for_the_check_to_refuse() {
    let given = text(&inbound(|body| {
        for name in ["message_handle", "from_number", "number", "to_number", "sendblue_number", "date_sent"] {
            body[name] = json!(7);
        }
    }));
    assert_eq!((given.line_number, given.remote_number, given.provider_message_id), Default::default());
    assert_eq!(given.sent_at, None);
}

#[test]
fn groups_and_other_events_are_not_ours() {
    for body in [
        inbound(|body| body["group_id"] = json!("g1")),
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
fn an_echo_is_news_of_what_we_sent() {
    let news = news(parse(&outbound("DELIVERED", |body| body["was_downgraded"] = json!(true))));
    assert_eq!(
        (news.given.line_number.as_str(), news.given.provider_message_id.as_str()),
        ("+12025550101", "E1B2")
    );
    assert_eq!((news.given.status, news.given.error), (Some(DeliveryStatus::Delivered), None));
    assert!(news.given.was_downgraded && news.other_id.is_none() && news.sent_at.is_some());
}

#[test]
fn an_error_is_told_by_sendblues_code_and_never_in_its_words() {
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
        let error = news(parse(&body)).given.error.unwrap();
        assert_eq!(error.code, expected);
        assert!(!error.message.contains("2025550101") && !error.message.is_empty(), "{error:?}");
    }
    let no_error = outbound("SENT", |body| body["error_code"] = json!(22));
    assert_eq!(news(parse(&no_error)).given.error, None);
}

#[test]
fn the_address_for_news_takes_nothing_else() {
    assert!(matches!(parse_status(&inbound(|_| {})), Event::Ignored(_)));
    assert_eq!(news(parse_status(&outbound("SENT", |_| {}))).given.status, Some(DeliveryStatus::Sent));
    let sparse = json!({ "status": "SENT", "message_handle": "E1B2", "from_number": "+12025550101" });
    assert_eq!(news(parse_status(&sparse)).given.provider_message_id, "E1B2");
}

#[test]
fn every_documented_status_has_its_meaning() {
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
