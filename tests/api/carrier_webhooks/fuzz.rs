//! Random webhook bodies get a response other than 5xx, and do not affect later webhooks.

use inkbox_imessage::domain::CarrierKind;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::{
    BLUEBUBBLES_SECRET, SENDBLUE_SECRET, STATUS_SECRET, Scene, assert_answer, bluebubbles_event,
    sendblue_echo, sendblue_text,
};
use crate::support::app::{POOL_LINES, ROUTER_LINE};

/// Number of webhooks per test.
const CASES: usize = 400;

/// Any JSON, a few levels deep.
fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "\0",
            "+15551230001",
            "+12025550101",
            "Loved “hello”",
            "Removed a heart from “hello”",
            "p:0/sent-1",
            "p:-1/x",
            "SENT",
            "ERROR",
            "list",
            "2026-01-02T03:04:05Z",
            "-999999-01-01T00:00:00Z",
            "iMessage;+;x",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
    .boxed()
}

/// A documented body with some of its fields, at any depth, replaced or removed.
fn mutated(body: Value) -> BoxedStrategy<Value> {
    match body {
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .into_iter()
                .map(|(name, value)| {
                    let mutated = mutated(value);
                    prop_oneof![6 => mutated.prop_map(Some), 1 => any_json().prop_map(Some), 1 => Just(None)]
                        .prop_map(move |value| value.map(|value| (name.clone(), value)))
                })
                .collect();
            fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect())).boxed()
        }
        other => Just(other).boxed(),
    }
}

/// Bytes that may be JSON.
fn any_body(documented: Vec<Value>) -> BoxedStrategy<Vec<u8>> {
    let mutated = documented.into_iter().map(mutated).collect::<Vec<_>>();
    prop_oneof![
        8 => proptest::strategy::Union::new(mutated).prop_map(|body| body.to_string().into_bytes()),
        1 => any_json().prop_map(|body| body.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ]
    .boxed()
}

async fn deliver(scene: &Scene, paths: &[String], documented: Vec<Value>) {
    let strategy = any_body(documented);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for case in 0..CASES {
        let body = strategy.new_tree(&mut runner).unwrap().current();
        let path = &paths[case % paths.len()];
        let answer = scene.post(path, Some(SENDBLUE_SECRET), body.clone()).await;
        let shown = String::from_utf8_lossy(&body);
        assert!([200, 400, 404, 422].contains(&answer.status), "{answer:?} to {shown}");
    }
}

#[tokio::test]
async fn any_body_of_sendblue_gets_a_response() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let paths = ["/webhooks/sendblue".to_owned(), format!("/webhooks/sendblue/status?token={STATUS_SECRET}")];
    let mut documented: Vec<_> = ["Hello", "Loved “hello”", "Removed a heart from “hello”"]
        .into_iter()
        .map(|words| sendblue_text(POOL_LINES[0], "E-1", words))
        .collect();
    documented.push(sendblue_text(ROUTER_LINE, "C-1", "list"));
    documented.push(sendblue_echo(POOL_LINES[0], "sent-1", "ERROR"));
    deliver(&scene, &paths, documented).await;
    assert_answer(&scene.sendblue(&sendblue_text(&talk.line, "E-last", "one")).await, 200, "stored");
}

#[tokio::test]
async fn any_body_of_bluebubbles_gets_a_response() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    let lines = [POOL_LINES[0], ROUTER_LINE, "+19995550000", "nonsense", "%00", "%F0%9F%8E%89"];
    let paths = lines.map(|line| format!("/webhooks/bluebubbles/{line}?token={BLUEBUBBLES_SECRET}"));
    let mut tapback = bluebubbles_event("new-message", "G-2", "Loved “hello”");
    tapback["data"]["associatedMessageType"] = json!("love");
    tapback["data"]["associatedMessageGuid"] = json!("p:0/sent-1");
    let mut update = bluebubbles_event("updated-message", "sent-1", "hi");
    update["data"]["isFromMe"] = json!(true);
    update["data"]["dateDelivered"] = json!(1_767_323_046_000_i64);
    let documented = vec![
        bluebubbles_event("new-message", "G-1", "Hello"),
        bluebubbles_event("message-send-error", "sent-1", "hi"),
        tapback,
        update,
    ];
    deliver(&scene, &paths, documented).await;
    let last = bluebubbles_event("new-message", "G-last", "one");
    assert_answer(&scene.bluebubbles(&talk.line, &last).await, 200, "stored");
}
