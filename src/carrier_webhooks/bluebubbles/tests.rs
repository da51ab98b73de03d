use serde_json::{Value, json};

use super::parse;
use crate::carrier_webhooks::event::{Event, StatusUpdate};
use crate::domain::{DeliveryStatus, ReactionType, Transport};
use crate::messaging::inbound::{RawReaction, RawText};

const LINE: &str = "+12025550101";

/// An event as a server posts it, with changes of its data.
fn event(kind: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut data = json!({
        "originalROWID": 41, "guid": "G-1", "tempGuid": null, "text": "Hello", "subject": null, "isFromMe": false,
        "handle": { "address": "+15551230001", "service": "iMessage" }, "dateCreated": 1_795_374_279_123_i64,
        "dateRead": null, "dateDelivered": null, "error": 0, "associatedMessageGuid": null,
        "associatedMessageType": null, "attachments": [], "chats": [{ "guid": "iMessage;-;+15551230001" }],
    });
    change(&mut data);
    json!({ "type": kind, "data": data })
}

#[track_caller]
fn text(body: &Value) -> RawText {
    match parse(LINE, body) {
        Event::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn tapback(kind: &Value, target: &str) -> RawReaction {
    let body = event("new-message", |data| {
        data["text"] = json!("Loved “x”");
        data["associatedMessageType"] = kind.clone();
        data["associatedMessageGuid"] = json!(target);
        data["associatedMessageEmoji"] = json!("🎉");
    });
    match parse(LINE, &body) {
        Event::Tapback(reaction) => reaction,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn status_update(body: &Value) -> StatusUpdate {
    match parse(LINE, body) {
        Event::Status(update) => update,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_fields_of_a_text_are_parsed() {
    let raw = text(&event("new-message", |_| {}));
    assert_eq!((raw.line_number.as_str(), raw.remote_number.as_str()), (LINE, "+15551230001"));
    assert_eq!((raw.text.as_deref(), raw.provider_message_id.as_str()), (Some("Hello"), "G-1"));
    assert_eq!(raw.sent_at.map(|time| time.timestamp_millis()), Some(1_795_374_279_123));
    assert_eq!(raw.transport, Transport::IMessage);
    let sms = event("new-message", |data| data["chats"] = json!([{ "guid": "SMS;-;+15551230001" }]));
    assert_eq!(text(&sms).transport, Transport::Sms);
}

#[test]
fn the_transport_is_a_known_name_of_the_chat_or_else_of_the_handle() {
    let transport = |guid: &str, service: Value| {
        text(&event("new-message", |data| {
            data["chats"] = json!([{ "guid": guid }]);
            data["handle"]["service"] = service;
        }))
        .transport
    };
    assert_eq!(transport("any;-;+15551230001", json!("SMS")), Transport::Sms);
    assert_eq!(transport("any;-;+15551230001", json!("RCS")), Transport::Rcs);
    assert_eq!(transport("SMS;-;+15551230001", json!("iMessage")), Transport::Sms);
    assert_eq!(transport("any;-;+15551230001", Value::Null), Transport::Unspecified);
}

#[test]
fn a_sender_may_be_named_by_the_chat_alone() {
    let body = event("new-message", |data| data["handle"] = Value::Null);
    assert_eq!(text(&body).remote_number, "+15551230001");
}

#[test]
fn a_subject_is_part_of_the_text() {
    let alone = event("new-message", |data| {
        data["subject"] = json!("Call me back");
        data["text"] = Value::Null;
    });
    assert_eq!(text(&alone).text.as_deref(), Some("Call me back"));
}

#[test]
fn the_hidden_file_of_a_link_preview_is_no_file() {
    let raw = text(&event("new-message", |data| {
        data["text"] = json!("https://shop.example/item/7");
        data["balloonBundleId"] = json!("com.apple.messages.URLBalloonProvider");
        data["attachments"] = json!([
            { "guid": "at_1", "transferName": "X.pluginPayloadAttachment", "totalBytes": 9_120 },
            { "guid": "at_2", "hideAttachment": true },
        ]);
    }));
    assert!(raw.media.is_empty());
    assert_eq!(raw.text.as_deref(), Some("https://shop.example/item/7"));
}

#[test]
fn an_emoji_tapback_names_its_message_even_if_no_field_names_the_emoji() {
    for (kind, words, removed) in
        [("2006", "Reacted 🎉 to “ok”", false), ("3006", "Removed a 🎉 reaction from “ok”", true)]
    {
        let body = event("new-message", |data| {
            data["text"] = json!(words);
            data["associatedMessageType"] = json!(kind);
            data["associatedMessageGuid"] = json!("p:0/G-0");
        });
        let Event::Tapback(raw) = parse(LINE, &body) else { panic!("{words}") };
        assert_eq!((raw.custom_emoji.as_deref(), raw.removed), (Some("🎉"), removed), "{words}");
        assert_eq!(raw.target_provider_message_id, "G-0");
    }
}
#[test]
fn a_file_is_stored_by_its_id_without_a_password() {
    let raw = text(&event("new-message", |data| {
        data["text"] = json!("\u{fffc}");
        data["attachments"] = json!([
            { "guid": "at_0_1", "mimeType": "image/png", "totalBytes": 5, "transferName": "a.png" },
            { "guid": "at_0_2", "mimeType": null, "totalBytes": -1 },
            { "mimeType": "image/png" },
        ]);
    }));
    assert_eq!(raw.text, None);
    let files: Vec<_> = raw
        .media
        .iter()
        .map(|file| (file.url.as_str(), file.content_type.as_deref(), file.size_bytes))
        .collect();
    assert_eq!(
        files,
        [
            ("bluebubbles:attachment/at_0_1", Some("image/png"), Some(5)),
            ("bluebubbles:attachment/at_0_2", None, None)
        ]
    );
}

#[test]
fn every_tapback_is_parsed_by_number_and_by_name() {
    use ReactionType::{Custom, Dislike, Emphasize, Laugh, Like, Love, Question};
    let kinds = [
        (2_000, "love", Love),
        (2_001, "like", Like),
        (2_002, "dislike", Dislike),
        (2_003, "laugh", Laugh),
        (2_004, "emphasize", Emphasize),
        (2_005, "question", Question),
        (2_006, "emoji", Custom),
    ];
    for (number, name, reaction) in kinds {
        for (kind, removed) in [
            (json!(number), false),
            (json!(number.to_string()), false),
            (json!(name), false),
            (json!(number + 1_000), true),
            (json!(format!("-{name}")), true),
        ] {
            let raw = tapback(&kind, "p:0/G-0");
            assert_eq!((raw.reaction, raw.removed), (Some(reaction), removed), "{kind}");
            assert_eq!(raw.custom_emoji.is_some(), reaction == Custom, "{kind}");
            assert_eq!((raw.line_number.as_str(), raw.remote_number.as_str()), (LINE, "+15551230001"));
        }
    }
}

#[test]
fn a_tapback_names_its_message_and_part_in_three_ways() {
    for (target, expected) in [
        ("p:0/G-0", (0, "G-0")),
        ("p:3/G-0", (3, "G-0")),
        ("bp:G-0", (0, "G-0")),
        ("G-0", (0, "G-0")),
        ("p:x/G-0", (-1, "G-0")),
    ] {
        let raw = tapback(&json!(2_000), target);
        assert_eq!((raw.part_index, raw.target_provider_message_id.as_str()), expected, "{target}");
    }
}

#[test]
fn an_unknown_tapback_stays_a_text() {
    for (name, value) in [
        ("associatedMessageType", json!("sticker")),
        ("associatedMessageType", json!(1_000)),
        ("associatedMessageType", json!(2_006)),
        ("threadOriginatorGuid", json!("G-0")),
    ] {
        let body = event("new-message", |data| {
            data["associatedMessageGuid"] = json!("p:0/G-0");
            data[name] = value.clone();
        });
        assert_eq!(text(&body).text.as_deref(), Some("Hello"), "{name} {value}");
    }
}

#[test]
fn irrelevant_events_are_ignored() {
    let of = |change: fn(&mut Value)| event("new-message", change);
    for body in [
        of(|data| {
            data["isFromMe"] = json!(true);
            data["error"] = json!(22);
        }),
        of(|data| {
            data["isFromMe"] = json!(true);
            data["chats"] = Value::Null;
        }),
        of(|data| {
            data["isFromMe"] = json!(true);
            data["associatedMessageType"] = json!("love");
        }),
        of(|data| data["chats"] = json!([{ "guid": "iMessage;+;chat1" }])),
        of(|data| data["handle"]["address"] = json!("someone@example.com")),
        of(|data| data["chats"] = json!([{ "guid": "chat66", "style": 43 }])),
        of(|data| data["handle"]["address"] = json!("72975")),
        of(|data| data["associatedMessageType"] = json!("2007")),
        of(|data| data["associatedMessageType"] = json!("4000")),
        event("updated-message", |data| data["associatedMessageType"] = json!("love")),
        event("updated-message", |data| data["associatedMessageType"] = json!("2007")),
        event("updated-message", |data| data["chats"] = json!([{ "guid": "iMessage;+;chat1" }])),
        of(|data| {
            data["text"] = json!("\u{fffd}");
            data["balloonBundleId"] = json!("com.example.card");
        }),
        event("updated-message", |data| data["isFromMe"] = json!(true)),
        json!({ "type": "typing-indicator", "data": { "display": true, "guid": "iMessage;-;+15551230001" } }),
        json!({ "type": "chat-read-status-changed", "data": { "chatGuid": "iMessage;-;+15551230001", "read": true } }),
        json!({ "type": "new-message" }),
        json!({ "type": "new-message", "data": [] }),
        json!({ "data": {} }),
        json!({}),
    ] {
        assert!(matches!(parse(LINE, &body), Event::Ignored(_)), "{body}");
    }
}

#[test]
fn a_message_without_content_is_empty_and_its_chat_is_named() {
    for change in [
        (|data: &mut Value| data["text"] = Value::Null) as fn(&mut Value),
        |data| data["text"] = json!("\u{fffc}"),
        |data| data["text"] = json!("\u{fffd}"),
    ] {
        let Event::Empty(raw) = parse(LINE, &event("new-message", change)) else { panic!("not empty") };
        assert!(raw.is_empty());
        assert_eq!((raw.provider_message_id.as_str(), raw.chat.is_some()), ("G-1", true));
    }
}

#[test]
fn a_message_of_the_account_names_the_human_of_the_chat() {
    let body = event("new-message", |data| {
        data["isFromMe"] = json!(true);
        data["handle"] = Value::Null;
        data["tempGuid"] = json!("ours");
    });
    let Event::Sent(raw, other_id) = parse(LINE, &body) else { panic!("not sent") };
    assert_eq!((raw.remote_number.as_str(), other_id.as_deref()), ("+15551230001", Some("ours")));
}

#[test]
fn a_message_without_its_chat_is_an_update() {
    for (kind, chats) in [
        ("new-message", Value::Null),
        ("new-message", json!([])),
        ("updated-message", Value::Null),
        ("updated-message", json!([{ "guid": "iMessage;-;+15551230001", "style": 45 }])),
    ] {
        let body = event(kind, |data| data["chats"] = chats.clone());
        assert!(matches!(parse(LINE, &body), Event::Update(..)), "{body}");
    }
}

#[test]
fn updates_of_outbound_messages_are_status_updates() {
    use DeliveryStatus::{Delivered, Error};
    let own = |change: fn(&mut Value)| {
        event("updated-message", |data| {
            data["isFromMe"] = json!(true);
            change(data);
        })
    };
    for (body, status, code) in [
        (own(|data| data["dateDelivered"] = json!(1_795_374_280_000_i64)), Delivered, None),
        (own(|data| data["dateRead"] = json!(1_795_374_280_000_i64)), Delivered, None),
        (own(|data| data["error"] = json!(22)), Error, Some("22")),
        (event("message-send-error", |data| data["error"] = json!(4)), Error, Some("4")),
        (event("message-send-error", |_| {}), Error, Some("LINE_REFUSED")),
    ] {
        let event = status_update(&body);
        assert_eq!(
            (event.update.status, event.update.provider_message_id.as_str()),
            (Some(status), "G-1"),
            "{body}"
        );
        assert_eq!(event.update.error.as_ref().map(|error| error.code.as_str()), code, "{body}");
        assert!(event.sent_at.is_some());
    }
}

#[test]
fn a_status_update_may_name_the_temporary_id() {
    let both = status_update(&event("message-send-error", |data| data["tempGuid"] = json!("ours")));
    assert_eq!((both.update.provider_message_id.as_str(), both.other_id.as_deref()), ("G-1", Some("ours")));
    let one = status_update(&event("message-send-error", |data| {
        data["guid"] = Value::Null;
        data["tempGuid"] = json!("ours");
    }));
    assert_eq!((one.update.provider_message_id.as_str(), one.other_id), ("ours", None));
}
