//! Webhooks of carriers, with the bodies that the carriers document.

mod back_fill;
mod bluebubbles;
mod bounds;
mod by_hand;
mod chats;
mod delivery_updates;
mod fuzz;
mod late_files;
mod numbers;
mod refusals;
mod removed_lines;
mod replay;
mod replies;
mod revisions;
mod router_line;
mod sendblue;
mod tapback_languages;
mod tapback_texts;

use std::net::SocketAddr;
use std::time::Duration;

use inkbox_imessage::carrier_webhooks::{Secret, Secrets, Webhooks};
use inkbox_imessage::domain::{CarrierKind, LineRole};
use inkbox_imessage::proto::{Identity, Message};
use inkbox_imessage::server::Settings;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;

use crate::messages::messages_of;
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::callers::Caller;
use crate::support::database;
use crate::support::http::{Answer, call};
use crate::support::phone_line::PhoneLine;
use crate::support::proxy::Proxy;
use crate::support::{Human, TestApp};

const SENDBLUE_SECRET: &str = "sendblue-secret-0001";
const STATUS_SECRET: &str = "sendblue-status-0001";
const BLUEBUBBLES_SECRET: &str = "bluebubbles-secret-1";

/// The human of most tests.
const HUMAN: &str = "+15551230001";

/// A service whose lines have one carrier, and a human.
struct Scene {
    app: TestApp,
    webhooks: SocketAddr,
    /// The stub that receives what is sent from the lines.
    phone: PhoneLine,
    identity: Identity,
    human: Human,
}

/// A conversation of the human with an agent.
struct Talk {
    agent: Caller,
    line: String,
    conversation_id: String,
}

impl Scene {
    async fn of(carrier: CarrierKind) -> Self {
        Self::through(carrier, |_| None).await.0
    }

    /// The same with a proxy between the service and its database, if there is one.
    async fn through(
        carrier: CarrierKind,
        proxy: impl FnOnce(&PgConnectOptions) -> Option<Proxy>,
    ) -> (Self, Option<Proxy>) {
        let webhooks = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = webhooks.local_addr().unwrap();
        let secrets = Secrets {
            sendblue: Some(SENDBLUE_SECRET.parse().unwrap()),
            sendblue_status: Some(STATUS_SECRET.parse().unwrap()),
            bluebubbles: Some(BLUEBUBBLES_SECRET.parse().unwrap()),
        };
        let options = database::fresh().await;
        let proxy = proxy(&options);
        let service = proxy.as_ref().map_or_else(|| options.clone(), |proxy| proxy.options(&options));
        let webhooks = Webhooks::new(webhooks, secrets);
        (Self::start(carrier, webhooks, address, options, service).await, proxy)
    }

    async fn with(carrier: CarrierKind, webhooks: Webhooks, address: SocketAddr) -> Self {
        let options = database::fresh().await;
        Self::start(carrier, webhooks, address, options.clone(), options).await
    }

    /// `service` are the options by which the service reaches the database.
    async fn start(
        carrier: CarrierKind,
        webhooks: Webhooks,
        address: SocketAddr,
        options: PgConnectOptions,
        service: PgConnectOptions,
    ) -> Self {
        let phone = PhoneLine::start().await;
        let carriers = phone.settings(carrier, &[ROUTER_LINE, POOL_LINES[0]]);
        let change = |settings: &mut Settings| {
            settings.lines = carriers;
            settings.database = service;
            // Longer than a stub takes on a busy machine.
            settings.line_time_out = Duration::from_secs(5);
        };
        let app = TestApp::builder()
            .database(options)
            .settings(change)
            .server(|server| server.with_webhooks(webhooks))
            .launch()
            .await;
        app.until_ready().await;
        app.add_line_with(ROUTER_LINE, LineRole::Router, carrier).await;
        app.add_line_with(POOL_LINES[0], LineRole::Pool, carrier).await;
        let identity = app.identity("org_a").await;
        let human = Human::new(&app, HUMAN).await;
        Self { app, webhooks: address, phone, identity, human }
    }

    /// Connects the human, who sends "hello".
    async fn talk(&self) -> Talk {
        let (thread, conversation_id) = self.human.converses(&self.identity, "hello").await;
        Talk { agent: self.app.agent(&self.identity).await, line: thread.line, conversation_id }
    }

    async fn post(&self, path: &str, secret: Option<&str>, body: impl Into<bytes::Bytes>) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(secret.map(|secret| ("sb-signing-secret", secret)));
        call(self.webhooks, "POST", path, &headers, body).await
    }

    /// Posts to Sendblue's account webhook.
    async fn sendblue(&self, body: &Value) -> Answer {
        self.post("/webhooks/sendblue", Some(SENDBLUE_SECRET), body.to_string()).await
    }

    /// Posts to Sendblue's status webhook.
    async fn sendblue_status(&self, body: &Value) -> Answer {
        let path = format!("/webhooks/sendblue/status?token={STATUS_SECRET}");
        self.post(&path, None, body.to_string()).await
    }

    /// Posts to the webhook of a line's BlueBubbles server.
    async fn bluebubbles(&self, line: &str, body: &Value) -> Answer {
        let secret: Secret = BLUEBUBBLES_SECRET.parse().unwrap();
        let path = format!("/webhooks/bluebubbles/{line}?token={}", secret.of_line(line).unwrap().reveal());
        self.post(&path, None, body.to_string()).await
    }

    /// The number of rows of a table.
    async fn rows(&self, table: &str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(count).fetch_one(&self.app.pool).await.unwrap()
    }
}

impl Talk {
    /// The messages that the agent sees, newest first.
    async fn messages(&self) -> Vec<Message> {
        messages_of(&self.agent, &self.conversation_id).await
    }
}

#[track_caller]
fn assert_answer(answer: &Answer, status: u16, result: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, result), "{answer:?}");
}

/// A message of the human, as Sendblue documents it.
fn sendblue_text(line: &str, handle: &str, content: &str) -> Value {
    json!({
        "accountEmail": "ops@example.com", "content": content, "is_outbound": false, "status": "RECEIVED",
        "error_code": null, "error_message": null, "error_reason": null, "error_detail": null,
        "message_handle": handle, "date_sent": "2026-01-02T03:04:05.678Z",
        "date_updated": "2026-01-02T03:04:06.000Z", "from_number": HUMAN, "number": HUMAN, "to_number": line,
        "sendblue_number": line, "was_downgraded": null, "plan": "blue", "media_url": "",
        "message_type": "message", "group_id": "", "participants": [HUMAN, line], "send_style": "",
        "opted_out": false, "service": "iMessage", "group_display_name": null,
    })
}

/// The echo or the status of an outbound message, as Sendblue documents it, sent long ago.
fn sendblue_echo(line: &str, handle: &str, status: &str) -> Value {
    let mut body = sendblue_text(line, handle, "hi");
    body["is_outbound"] = json!(true);
    body["status"] = json!(status);
    body["from_number"] = json!(line);
    body["to_number"] = json!(HUMAN);
    body
}

/// An event of a BlueBubbles server about a message of the human.
fn bluebubbles_event(kind: &str, guid: &str, text: &str) -> Value {
    json!({ "type": kind, "data": {
        "originalROWID": 41, "guid": guid, "text": text, "subject": null, "isFromMe": false,
        "handle": { "originalROWID": 1, "address": HUMAN, "service": "iMessage", "country": "us" },
        "dateCreated": 1_767_323_045_678_i64, "dateRead": null, "dateDelivered": null, "error": 0,
        "associatedMessageGuid": null, "associatedMessageType": null, "attachments": [],
        "chats": [{ "guid": format!("iMessage;-;{HUMAN}"), "style": 45 }],
    } })
}
