//! What operators do with lines.

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    ListMessagesRequest, ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome, SendMessageRequest,
};
use serde_json::Value;

use crate::process::folder::Folder;
use crate::process::human::{LINE, Met, ROUTER_LINE, meets, texts};
use crate::support::assert_reason;
use crate::support::callers::Caller;
use crate::support::program::{Service, run};

const OTHER_LINE: &str = "+12025550102";
const UNKNOWN_LINE: &str = "+12025550199";

/// The lines that `line list` prints for programs.
async fn listed(folder: &Folder) -> Vec<Value> {
    serde_json::from_str(&run(folder, &["line", "list", "--output", "json"]).await.succeeded()).unwrap()
}

/// Number, active connections, and whether it is paused.
fn state(line: &Value) -> (&str, i64, bool) {
    (line["number"].as_str().unwrap(), line["connections"].as_i64().unwrap(), !line["paused_at"].is_null())
}

/// A human sends a command to the router line.
async fn commands(router: &Caller, remote_number: &str, words: &str) -> ReceiveMessageResponse {
    let request = ReceiveMessageRequest {
        line_number: ROUTER_LINE.to_owned(),
        remote_number: remote_number.to_owned(),
        text: Some(words.to_owned()),
        provider_message_id: format!("{words} {remote_number}"),
        ..Default::default()
    };
    router.receive_message(request).await.unwrap()
}

/// The line that a human gets who connects to the agent.
async fn line_of_new(router: &Caller, remote_number: &str) -> Option<String> {
    commands(router, remote_number, "connect @agent").await.line_number
}

#[tokio::test]
async fn lines_are_listed_as_a_table_and_as_json() {
    let folder = Folder::migrated().await;
    run(&folder, &["line", "add", ROUTER_LINE, "--role", "router"]).await.succeeded();
    run(&folder, &["line", "add", LINE, "--role", "pool", "--carrier", "sendblue"]).await.succeeded();
    let rows = listed(&folder).await;
    assert_eq!(rows.iter().map(state).collect::<Vec<_>>(), [(ROUTER_LINE, 0, false), (LINE, 0, false)]);
    assert_eq!((&rows[0]["role"], &rows[0]["carrier"]), (&"router".into(), &"sandbox".into()));
    assert_eq!((&rows[1]["role"], &rows[1]["carrier"]), (&"pool".into(), &"sendblue".into()));
    let table = run(&folder, &["line", "list"]).await.succeeded();
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NUMBER", "ROLE", "CARRIER", "CONNECTIONS", "PAUSED_AT", "CREATED_AT"]);
    assert_eq!(lines[2][..5], [LINE, "pool", "sendblue", "0", "-"]);
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn a_paused_line_gets_no_new_connection_and_keeps_those_that_it_has() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let Met { admin, router, conversation_id } = meets(&folder, &service).await;
    run(&folder, &["line", "pause", LINE]).await.succeeded();
    assert_eq!(
        listed(&folder).await.iter().map(state).collect::<Vec<_>>(),
        [(ROUTER_LINE, 0, false), (LINE, 1, true)]
    );
    assert_eq!(
        commands(&router, "+15551230002", "connect @agent").await.outcome(),
        ReceiveOutcome::Refused,
        "no other line is free"
    );
    // The conversation goes on in both directions.
    assert_eq!(texts(&router, LINE, "3", "still here").await.outcome(), ReceiveOutcome::Stored);
    let answer = SendMessageRequest {
        target: Some(Target::ConversationId(conversation_id)),
        text: Some("so am I".to_owned()),
        ..Default::default()
    };
    admin.send_message(answer).await.unwrap();

    run(&folder, &["line", "add", OTHER_LINE, "--role", "pool"]).await.succeeded();
    for number in ["+15551230003", "+15551230004"] {
        assert_eq!(line_of_new(&router, number).await.as_deref(), Some(OTHER_LINE));
    }
    run(&folder, &["line", "resume", LINE]).await.succeeded();
    assert_eq!(line_of_new(&router, "+15551230005").await.as_deref(), Some(LINE), "the least loaded");

    run(&folder, &["line", "pause", ROUTER_LINE]).await.failed(1, "router line");
    run(&folder, &["line", "pause", UNKNOWN_LINE]).await.failed(1, "not a line");
    run(&folder, &["line", "resume", UNKNOWN_LINE]).await.failed(1, "not a line");
    run(&folder, &["line", "resume", "nonsense"]).await.failed(2, "nonsense");
    service.stop().await;
}

#[tokio::test]
async fn a_line_is_removed_once_it_has_no_active_connection_and_its_messages_stay_readable() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let Met { admin, router, conversation_id } = meets(&folder, &service).await;
    run(&folder, &["line", "remove", LINE]).await.failed(1, "1 active connection:");
    commands(&router, "+15551230002", "connect @agent").await;
    run(&folder, &["line", "remove", LINE]).await.failed(1, "2 active connections");
    for number in ["+15551230001", "+15551230002"] {
        let ended = commands(&router, number, "disconnect @agent").await;
        assert_eq!(ended.outcome(), ReceiveOutcome::Disconnected);
    }
    run(&folder, &["line", "remove", LINE]).await.succeeded();
    run(&folder, &["line", "remove", LINE]).await.failed(1, "not a line");

    let list = ListMessagesRequest { conversation_id: Some(conversation_id.clone()), ..Default::default() };
    assert_eq!(admin.list_messages(list).await.unwrap().messages.len(), 1);
    let send = SendMessageRequest {
        target: Some(Target::ConversationId(conversation_id)),
        text: Some("hello".to_owned()),
        ..Default::default()
    };
    assert_reason(admin.send_message(send).await, "CONNECTION_RELEASED");
    let late = ReceiveMessageRequest {
        line_number: LINE.to_owned(),
        remote_number: "+15551230001".to_owned(),
        text: Some("late".to_owned()),
        provider_message_id: "late".to_owned(),
        ..Default::default()
    };
    assert_reason(router.receive_message(late).await, "NOT_FOUND");
    let verified = run(&folder, &["verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");

    // The number can be another kind of line.
    run(&folder, &["line", "remove", ROUTER_LINE]).await.succeeded();
    run(&folder, &["line", "add", LINE, "--role", "router"]).await.succeeded();
    assert_eq!(listed(&folder).await.iter().map(state).collect::<Vec<_>>(), [(LINE, 0, false)]);
    assert_eq!(run(&folder, &["verify"]).await.code, Some(0));
    service.stop().await;
}
