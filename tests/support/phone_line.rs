//! A stub of both carriers' APIs that accepts messages, for tests of what is sent from which line, and when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use inkbox_imessage::carriers::{CarrierSettings, Mac, SendblueSettings};
use inkbox_imessage::domain::{CarrierKind, PhoneNumber};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The number of a human to whom every message is rejected.
pub const UNREACHABLE: &str = "+15005550001";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentText {
    pub line: String,
    pub to: String,
    pub text: String,
}

/// Stops when it is dropped.
pub struct PhoneLine {
    url: String,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    sent: Mutex<Vec<SentText>>,
    /// Path and body of the requests to BlueBubbles.
    mac_requests: Mutex<Vec<(String, Value)>>,
    /// What the carrier has recorded of its lines, oldest first, with the time in milliseconds.
    records: Mutex<Vec<(i64, Value)>>,
    /// Offset and limit of each list request.
    list_requests: Mutex<Vec<(usize, usize)>>,
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl PhoneLine {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::<Inner>::default();
        let router = Router::new()
            .route("/api/send-message", post(sendblue))
            .route("/api/v2/messages", get(sendblue_list))
            .route("/mac/{line}/api/v1/{*path}", post(bluebubbles))
            .with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, serving }
    }

    /// Settings with which this stub is the carrier of these lines.
    pub fn settings(&self, carrier: CarrierKind, lines: &[&str]) -> CarrierSettings {
        let mut settings = CarrierSettings::default();
        match carrier {
            CarrierKind::Sandbox => {}
            CarrierKind::Sendblue => {
                settings.sendblue = Some(SendblueSettings {
                    url: self.url.parse().unwrap(),
                    key_id: "key-id-of-ours".to_owned().into(),
                    secret_key: "secret-key-of-ours".to_owned().into(),
                    status_callback: None,
                });
            }
            CarrierKind::BlueBubbles => {
                let mac = |line: &&str| Mac {
                    number: PhoneNumber::parse(line).unwrap(),
                    url: format!("{}/mac/{line}", self.url).parse().unwrap(),
                    password: "password".to_owned().into(),
                };
                settings.bluebubbles = lines.iter().map(mac).collect();
            }
        }
        settings
    }

    /// All messages, including rejected ones.
    pub fn sent(&self) -> Vec<SentText> {
        self.inner.sent.lock().unwrap().clone()
    }

    /// Path and body of every request to BlueBubbles, oldest first.
    pub fn mac_requests(&self) -> Vec<(String, Value)> {
        self.inner.mac_requests.lock().unwrap().clone()
    }

    /// Records a message that the carrier lists from now on.
    pub fn records(&self, at: chrono::DateTime<chrono::Utc>, record: Value) {
        let mut records = self.inner.records.lock().unwrap();
        records.push((at.timestamp_millis(), record));
        records.sort_by_key(|(at, _)| *at);
    }

    /// Offset and limit of each request for a list of received messages.
    pub fn list_requests(&self) -> Vec<(usize, usize)> {
        self.inner.list_requests.lock().unwrap().clone()
    }

    /// While a test holds this lock, no request gets a response.
    pub fn gate(&self) -> Arc<tokio::sync::Mutex<()>> {
        self.inner.gate.clone()
    }
}

impl Drop for PhoneLine {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Inner {
    /// Records a message, and returns its number once the gate is open; `None` if it is rejected.
    async fn record(&self, text: SentText) -> Option<usize> {
        let is_rejected = text.to == UNREACHABLE;
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(text);
            sent.len()
        };
        let _gate = self.gate.lock().await;
        (!is_rejected).then_some(number)
    }
}

impl Inner {
    async fn list(&self, since: i64, offset: usize, limit: usize) -> Vec<Value> {
        self.list_requests.lock().unwrap().push((offset, limit));
        let _gate = self.gate.lock().await;
        let records = self.records.lock().unwrap();
        let listed = records.iter().filter(|(at, _)| *at >= since).map(|(_, record)| record.clone());
        listed.skip(offset).take(limit).collect()
    }
}

async fn sendblue_list(State(inner): State<Arc<Inner>>, RawQuery(query): RawQuery) -> Response {
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(query.unwrap().as_bytes()).into_owned().collect();
    let number = |name: &str| query[name].parse().unwrap();
    let since = chrono::DateTime::parse_from_rfc3339(&query["created_at_gte"]).unwrap().timestamp_millis();
    let mut data = Vec::new();
    if query["is_outbound"] == "false" {
        data = inner.list(since, number("offset"), number("limit")).await;
        let is_of_line = |record: &Value| record["sendblue_number"] == query["sendblue_number"].as_str();
        data.retain(is_of_line);
    }
    reply(200, &json!({ "status": "OK", "data": data }))
}

async fn sendblue(State(inner): State<Arc<Inner>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let field = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let text = SentText { line: field("from_number"), to: field("number"), text: field("content") };
    match inner.record(text).await {
        Some(number) => reply(
            200,
            &json!({ "status": "QUEUED", "error_code": null, "message_handle": format!("sent-{number}") }),
        ),
        None => {
            reply(400, &json!({ "status": "ERROR", "error_code": "4002", "error_message": "blacklisted" }))
        }
    }
}

async fn bluebubbles(
    State(inner): State<Arc<Inner>>,
    Path((line, path)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    inner.mac_requests.lock().unwrap().push((path.clone(), body.clone()));
    if path == "message/query" && body.get("chatGuid").is_none() {
        let number = |name: &str| usize::try_from(body[name].as_u64().unwrap()).unwrap();
        let data = inner.list(body["after"].as_i64().unwrap(), number("offset"), number("limit")).await;
        return reply(200, &json!({ "status": 200, "message": "Success", "data": data }));
    }
    if path != "message/text" {
        return reply(200, &json!({ "status": 200, "message": "Done!", "data": { "guid": "done" } }));
    }
    let to = body["chatGuid"].as_str().unwrap().split(';').next_back().unwrap().to_owned();
    let text = SentText { line, to, text: body["message"].as_str().unwrap_or_default().to_owned() };
    match inner.record(text).await {
        Some(number) => {
            let data = json!({ "guid": format!("sent-{number}"), "isFromMe": true, "error": 0 });
            reply(200, &json!({ "status": 200, "message": "Message sent!", "data": data }))
        }
        None => {
            let error = json!({ "type": "Validation Error", "message": "no such chat" });
            reply(400, &json!({ "status": 400, "message": "Bad Request", "error": error }))
        }
    }
}

fn reply(status: u16, body: &Value) -> Response {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}
