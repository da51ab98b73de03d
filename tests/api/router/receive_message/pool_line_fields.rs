use inkbox_imessage::domain::MAX_TEXT_CHARACTERS;
use inkbox_imessage::proto::{
    GetMessageRequest, ListMessagesRequest, Media, MessageTransport, ReceiveMessageRequest, ReceiveOutcome,
};
use prost::Message as _;
use prost_types::Timestamp;
use uuid::Uuid;

use crate::support::human::Thread;
use crate::support::snapshot::everything;
use crate::support::{Human, TestApp, assert_fields, assert_reason};

const RECEIVE_MESSAGE: &str = "/inkbox.imessage.v1.RouterService/ReceiveMessage";

/// Stands where a test puts a byte that no UTF-8 has.
const MARK: &str = "MARK";

fn file(url: &str) -> Media {
    Media { url: url.to_owned(), ..Default::default() }
}

async fn a_thread(app: &TestApp) -> (Human, Thread) {
    let identity = app.identity("org_a").await;
    let human = Human::new(app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    (human, thread)
}

/// A text that is right but for what `change` makes of it.
fn wrong(
    human: &Human,
    thread: &Thread,
    change: impl FnOnce(&mut ReceiveMessageRequest),
) -> ReceiveMessageRequest {
    let mut text = human.text(&thread.line, "hello");
    change(&mut text);
    text
}

#[tokio::test]
async fn a_text_is_counted_in_characters_and_stored_unchanged() {
    let app = TestApp::start().await;
    let (human, thread) = a_thread(&app).await;
    assert_eq!(MAX_TEXT_CHARACTERS, 18_996);
    for words in ["😀".repeat(18_996), " \u{feff}e\u{301}\r\n\t\u{200d}\u{fffd} ".to_owned()] {
        let answer = human.says(&thread, &words).await;
        assert_eq!(answer.outcome(), ReceiveOutcome::Stored);
        let stored: String = sqlx::query_scalar("SELECT text FROM messages WHERE id = $1")
            .bind(Uuid::try_parse(answer.message_id()).unwrap())
            .fetch_one(&app.pool)
            .await
            .unwrap();
        assert!(stored == words, "{} characters of {}", stored.chars().count(), words.chars().count());
    }
    for too_long in ["😀".repeat(18_997), "a".repeat(18_997)] {
        let text = human.text(&thread.line, &too_long);
        assert_fields(human.router.receive_message(text).await, &["text"]);
    }
}

#[tokio::test]
async fn each_wrong_field_is_named_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let (human, thread) = a_thread(&app).await;
    let before = everything(&app.pool).await;

    for number in
        ["", "15551234567", "+0551234567", "+1 555 123", "+1234567890123456", "+1555\0", "tel:+1555"]
    {
        let text = wrong(&human, &thread, |text| text.line_number = number.to_owned());
        assert_fields(human.router.receive_message(text).await, &["line_number"]);
        let text = wrong(&human, &thread, |text| text.remote_number = number.to_owned());
        assert_fields(human.router.receive_message(text).await, &["remote_number"]);
    }
    for words in [None, Some(String::new()), Some("a\0b".to_owned())] {
        let text = wrong(&human, &thread, |text| text.text = words);
        assert_fields(human.router.receive_message(text).await, &["text"]);
    }
    for id in [String::new(), "a\0b".to_owned(), "x".repeat(256)] {
        let text = wrong(&human, &thread, |text| text.provider_message_id = id);
        assert_fields(human.router.receive_message(text).await, &["provider_message_id"]);
    }
    for transport in [4, 99, -1, i32::MAX, i32::MIN] {
        let text = wrong(&human, &thread, |text| text.transport = transport);
        assert_fields(human.router.receive_message(text).await, &["transport"]);
    }
    for (seconds, nanos) in [
        (253_402_300_800, 0),
        (-62_135_596_801, 0),
        (i64::MAX, 0),
        (i64::MIN, 0),
        (0, -1),
        (0, 1_000_000_000),
    ] {
        let text = wrong(&human, &thread, |text| text.sent_at = Some(Timestamp { seconds, nanos }));
        assert_fields(human.router.receive_message(text).await, &["sent_at"]);
    }
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn each_wrong_field_of_a_file_is_named_with_its_index() {
    let app = TestApp::start().await;
    let (human, thread) = a_thread(&app).await;
    let before = everything(&app.pool).await;

    let good = file("https://example.com/1.png");
    let of_url = |url: &str| vec![good.clone(), file(url)];
    let of_size = |size| vec![Media { size_bytes: Some(size), ..good.clone() }];
    let of_type = |kind: &str| vec![Media { content_type: Some(kind.to_owned()), ..good.clone() }];
    let table = [
        (vec![file("")], "media[0].url"),
        (of_url(""), "media[1].url"),
        (of_url("https://example.com/\0"), "media[1].url"),
        (of_url(&"x".repeat(8_193)), "media[1].url"),
        (of_size(-1), "media[0].size_bytes"),
        (of_size(i64::MIN), "media[0].size_bytes"),
        (of_type("image/\0"), "media[0].content_type"),
        (vec![good.clone(); 21], "media"),
    ];
    for (media, field) in table {
        let text = wrong(&human, &thread, |text| text.media = media);
        assert_fields(human.router.receive_message(text).await, &[field]);
    }
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn all_wrong_fields_are_named_at_once() {
    let app = TestApp::start().await;
    let (human, _) = a_thread(&app).await;
    let before = everything(&app.pool).await;
    let text = ReceiveMessageRequest {
        line_number: String::new(),
        remote_number: "5551234567".to_owned(),
        text: Some("\0".to_owned()),
        media: vec![Media { url: String::new(), content_type: None, size_bytes: Some(-1) }],
        provider_message_id: String::new(),
        sent_at: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        transport: 99,
    };
    let fields = [
        "line_number",
        "remote_number",
        "text",
        "media[0].url",
        "media[0].size_bytes",
        "provider_message_id",
        "sent_at",
        "transport",
    ];
    assert_fields(human.router.receive_message(text).await, &fields);
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn text_that_is_not_utf8_is_an_invalid_argument_that_names_its_field() {
    let app = TestApp::start().await;
    let (human, thread) = a_thread(&app).await;
    let before = everything(&app.pool).await;
    let good = human.text(&thread.line, "hello");
    let mark = || MARK.to_owned();
    let marked = [
        ("line_number", ReceiveMessageRequest { line_number: mark(), ..good.clone() }),
        ("remote_number", ReceiveMessageRequest { remote_number: mark(), ..good.clone() }),
        ("text", ReceiveMessageRequest { text: Some(mark()), ..good.clone() }),
        ("provider_message_id", ReceiveMessageRequest { provider_message_id: mark(), ..good.clone() }),
        ("media.url", ReceiveMessageRequest { media: vec![file(MARK)], ..good.clone() }),
    ];
    for (field, text) in marked {
        let mut bytes = text.encode_to_vec();
        let at = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes()).unwrap();
        bytes[at] = 0xff;
        assert_fields(human.router.raw(RECEIVE_MESSAGE, bytes).await, &[field]);
    }
    let cut_short = good.encode_to_vec();
    assert_reason(human.router.raw(RECEIVE_MESSAGE, cut_short[..9].to_vec()).await, "INVALID_ARGUMENT");
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn admin_and_identity_keys_deliver_nothing_and_learn_that_after_their_wrong_fields() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let callers = [app.admin("org_a").await, app.agent(&identity).await];

    let before = everything(&app.pool).await;
    for caller in callers {
        let text = human.text(&thread.line, "hello");
        assert_reason(caller.receive_message(text).await, "SCOPE_INSUFFICIENT");
        let unknown_line = human.text("+12025550199", "hello");
        assert_reason(caller.receive_message(unknown_line).await, "SCOPE_INSUFFICIENT");
        let empty = wrong(&human, &thread, |text| text.text = None);
        assert_fields(caller.receive_message(empty).await, &["text"]);
    }
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn a_text_without_a_transport_is_listed_as_unspecified() {
    let app = TestApp::start().await;
    let (human, thread) = a_thread(&app).await;
    let stored = human.says(&thread, "hello").await;
    let admin = app.admin("org_a").await;

    let id = stored.message_id.unwrap();
    let request = GetMessageRequest { message_id: id, agent_identity_id: None };
    let message = admin.get_message(request).await.unwrap().message.unwrap();
    assert_eq!(message.transport, MessageTransport::Unspecified as i32);
    let listed = admin.list_messages(ListMessagesRequest::default()).await.unwrap().messages;
    assert_eq!(listed, [message]);
}
