use inkbox_imessage::carrier_webhooks::{Secret, Secrets, Webhooks};
use inkbox_imessage::domain::CarrierKind;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    BLUEBUBBLES_SECRET, SENDBLUE_SECRET, STATUS_SECRET, Scene, assert_answer, bluebubbles_event,
    sendblue_echo, sendblue_text,
};
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::assertions::assert_names_no_line;
use crate::support::http::call;

#[tokio::test]
async fn a_wrong_secret_is_401_and_nothing_is_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let body = sendblue_text(&talk.line, "E-1", "one").to_string();
    let almost = format!("{SENDBLUE_SECRET}0");
    for secret in
        [None, Some(""), Some("wrong"), Some(&SENDBLUE_SECRET[1..]), Some(&almost), Some(STATUS_SECRET)]
    {
        let answer = scene.post("/webhooks/sendblue", secret, body.clone()).await;
        assert_answer(&answer, 401, "unauthorized");
    }
    // The body of an unauthenticated request is not read, and a secret in the query does not count here.
    assert_answer(&scene.post("/webhooks/sendblue", None, "not JSON").await, 401, "unauthorized");
    let in_address = format!("/webhooks/sendblue?token={SENDBLUE_SECRET}");
    assert_answer(&scene.post(&in_address, None, body).await, 401, "unauthorized");
    assert_eq!((scene.rows("messages").await, scene.rows("tapback_texts").await), (1, 0));
}

#[tokio::test]
async fn a_wrong_token_is_401_and_nothing_is_stored() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let text = bluebubbles_event("new-message", "G-1", "one").to_string();
    let update = sendblue_echo(&talk.line, "sent-1", "DELIVERED").to_string();
    for (path, body, others) in [
        (format!("/webhooks/bluebubbles/{}", talk.line), text, STATUS_SECRET),
        ("/webhooks/sendblue/status".to_owned(), update, BLUEBUBBLES_SECRET),
    ] {
        for query in ["", "?token=", "?token=wrong", "?TOKEN=x", &format!("?token={others}")] {
            let answer = scene.post(&format!("{path}{query}"), Some(SENDBLUE_SECRET), body.clone()).await;
            assert_answer(&answer, 401, "unauthorized");
        }
    }
    assert_eq!(scene.rows("messages").await, 1);
}

/// A Mac may belong to a tenant.
#[tokio::test]
async fn the_token_of_a_line_authorizes_for_this_line_only() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let secret: Secret = BLUEBUBBLES_SECRET.parse().unwrap();
    let text = bluebubbles_event("new-message", "G-1", "one").to_string();
    for (line, status) in [(POOL_LINES[1], 401), (ROUTER_LINE, 401), (talk.line.as_str(), 200)] {
        let token = secret.of_line(line).unwrap();
        let path = format!("/webhooks/bluebubbles/{}?token={}", talk.line, token.reveal());
        assert_eq!(scene.post(&path, None, text.clone()).await.status, status, "{line}");
    }
}

/// Until the next release.
#[tokio::test]
async fn the_shared_token_of_earlier_releases_is_still_accepted() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let path = format!("/webhooks/bluebubbles/{}?token={BLUEBUBBLES_SECRET}", talk.line);
    let text = bluebubbles_event("new-message", "G-1", "one").to_string();
    assert_answer(&scene.post(&path, None, text).await, 200, "stored");
}

#[tokio::test]
async fn a_percent_encoded_token_is_accepted() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let encoded = BLUEBUBBLES_SECRET.replace('b', "%62").replace('-', "%2D");
    let path = format!("/webhooks/bluebubbles/{}?a=b&token={encoded}&c", talk.line.replace('+', "%2B"));
    let body = bluebubbles_event("new-message", "G-1", "one").to_string();
    assert_answer(&scene.post(&path, None, body).await, 200, "stored");
}

#[tokio::test]
async fn a_malformed_body_is_400_and_nothing_is_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let good = sendblue_text(&talk.line, "E-1", "one").to_string();
    let cut = &good.as_bytes()[..good.len() - 1];
    let deep = "[".repeat(100_000);
    for body in [&b""[..], b"not JSON", b"[]", b"null", b"\"text\"", cut, deep.as_bytes()] {
        let answer = scene.post("/webhooks/sendblue", Some(SENDBLUE_SECRET), body.to_vec()).await;
        assert_answer(&answer, 400, "malformed");
    }
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn what_can_be_repaired_is_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let with = |handle: &str, name: &str, value: Value| {
        let mut body = sendblue_text(&talk.line, handle, "one");
        body[name] = value;
        body.to_string().into_bytes()
    };
    let damaged = |handle: &str, bytes: &[u8]| {
        let body = String::from_utf8(with(handle, "content", json!("caf~"))).unwrap();
        let (before, after) = body.split_once('~').unwrap();
        [before.as_bytes(), bytes, after.as_bytes()].concat()
    };
    for (body, text) in [
        (with("E-1", "content", json!("a\0b")), "ab"),
        (damaged("E-2", b"\xe9"), "caf\u{fffd}"),
        (damaged("E-3", b"\\udc4d"), "caf\u{fffd}"),
        (with("E-4", "media_url", json!(format!("https://example.com/{}", "x".repeat(9_000)))), "one"),
        (with("", "content", json!("without an id")), "without an id"),
    ] {
        let answer = scene.post("/webhooks/sendblue", Some(SENDBLUE_SECRET), body).await;
        assert_answer(&answer, 200, "stored");
        assert!(talk.messages().await.iter().any(|message| message.text() == text), "{text}");
    }
}

#[tokio::test]
async fn what_is_for_nobody_is_acknowledged_and_not_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    for (name, value) in [
        ("from_number", json!("someone@example.com")),
        ("from_number", json!("72975")),
        ("content", json!("")),
        ("content", json!("\u{fffd}")),
        ("message_type", json!("group")),
    ] {
        let mut body = sendblue_text(&talk.line, "E-1", "one");
        body[name] = value;
        assert_answer(&scene.sendblue(&body).await, 200, "ignored");
    }
    assert_eq!(scene.rows("messages").await, 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_and_nothing_is_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let body = |id: &str, padding: usize| {
        let mut body = sendblue_text(&talk.line, id, "one");
        body["padding"] = json!("x".repeat(padding));
        body
    };
    let rest = body("E-1", 0).to_string().len();
    let most = 1024 * 1024 - rest;
    assert_answer(&scene.sendblue(&body("E-1", most + 1)).await, 413, "too_large");
    assert_answer(&scene.sendblue(&body("E-1", 2 * most)).await, 413, "too_large");
    assert_eq!(scene.rows("messages").await, 1);
    assert_answer(&scene.sendblue(&body("E-1", most)).await, 200, "stored");
    let at_once = (2..10).map(|n| body(&format!("E-{n}"), most)).collect::<Vec<_>>();
    let answers = futures_util::future::join_all(at_once.iter().map(|body| scene.sendblue(body))).await;
    for answer in answers {
        assert_answer(&answer, 200, "stored");
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_is_stored_cut_and_says_so() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let most = "ü".repeat(18_996);
    for (id, text, stored) in [
        ("E-1", most.clone(), most.clone()),
        ("E-2", format!("{most}ü"), format!("{} […]", "ü".repeat(18_992))),
    ] {
        assert_answer(&scene.sendblue(&sendblue_text(&talk.line, id, &text)).await, 200, "stored");
        let messages = talk.messages().await;
        let texts: Vec<_> = messages.iter().map(|message| message.text.as_deref().unwrap()).collect();
        assert!(texts.contains(&&*stored), "{id}");
    }
}

#[tokio::test]
async fn fields_are_validated_as_in_the_rpc_and_nothing_is_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let changes: [(&str, Value); 3] = [
        ("from_number", json!("+1555123000199999")),
        ("sendblue_number", json!("nonsense")),
        ("message_handle", json!("x".repeat(256))),
    ];
    for (name, value) in changes {
        let mut body = sendblue_text(&talk.line, "E-1", "one");
        body[name] = value;
        let answer = scene.sendblue(&body).await;
        assert_answer(&answer, 422, "refused");
        assert_names_no_line(&answer);
    }
    assert_eq!(scene.rows("messages").await, 1);
    let longest = sendblue_text(&talk.line, "E-1", &"🎉".repeat(18_996));
    assert_answer(&scene.sendblue(&longest).await, 200, "stored");
}

#[tokio::test]
async fn a_carrier_without_a_secret_has_no_route() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let secrets = Secrets { bluebubbles: Some(BLUEBUBBLES_SECRET.parse().unwrap()), ..Secrets::default() };
    let scene = Scene::with(CarrierKind::Sendblue, Webhooks::new(listener, secrets), address).await;
    let body = sendblue_text(POOL_LINES[0], "E-1", "one");
    assert_eq!(scene.sendblue(&body).await.status, 404);
    assert_eq!(scene.post("/webhooks/sendblue", Some(""), body.to_string()).await.status, 404);
    assert_eq!(scene.sendblue_status(&body).await.status, 404);
    assert_eq!(scene.post("/", None, "").await.status, 404);
    assert_eq!(scene.post("/webhooks/bluebubbles/+12025550101", None, "").await.status, 401);
}

#[tokio::test]
async fn only_the_method_post_is_accepted() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    for method in ["GET", "PUT", "DELETE"] {
        let headers = [("sb-signing-secret", SENDBLUE_SECRET)];
        assert_eq!(call(scene.webhooks, method, "/webhooks/sendblue", &headers, "{}").await.status, 405);
    }
}

#[tokio::test]
async fn a_webhook_gets_503_while_the_database_is_down() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    scene.app.parts.db.close();
    let answer = scene.sendblue(&sendblue_text(&talk.line, "E-1", "one")).await;
    assert_answer(&answer, 503, "unavailable");
    assert!(answer.retry_after.is_some());
}
