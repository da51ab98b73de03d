//! `serve --demo`: what it prints can be pasted.

use std::process::Command;

use inkbox_imessage::proto::*;
use serde_json::Value;
use tonic::Status;

use crate::process::folder::Folder;
use crate::support::callers::Caller;
use crate::support::program::{Service, command};
use crate::support::{Watcher, assert_reason, eventually};

/// A call that the page shows, as the shell would hand it to the tool.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    header: String,
    body: String,
    method: String,
}

/// The page, once all of it is printed.
pub(crate) async fn page(service: &Service) -> String {
    eventually("the demo's page is printed", async || {
        let output = service.output();
        let calls = |tool: &str| output.lines().filter(|line| line.starts_with(tool)).count();
        (calls("grpcurl ") > 0 && calls("grpcurl ") == calls("buf ")).then_some(output)
    })
    .await
}

/// The key that the page gives for a role.
pub(crate) fn key(page: &str, role: &str) -> String {
    let line = page
        .lines()
        .find_map(|line| line.trim().strip_prefix(role)?.trim().starts_with("ink_").then_some(line));
    line.unwrap_or_else(|| panic!("no {role} key in {page}"))
        .split_whitespace()
        .next_back()
        .unwrap()
        .to_owned()
}

/// Lets a shell read the lines of one tool, as if they were pasted; gives the words of each.
fn pasted(page: &str, tool: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with(tool)).collect();
    // The same random numbers for the same call by either tool.
    let tool = format!("{tool}() {{ RANDOM=1; printf '%s\\0' \"$@\"; printf '\\n'; }}\nRANDOM=1\n");
    let script = tool + &lines.join("\n");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let words = |line: &str| line.split_terminator('\0').map(str::to_owned).collect();
    String::from_utf8(output.stdout).unwrap().lines().map(words).collect()
}

fn shown(words: &[String], start: &[&str], address: &str) -> Shown {
    assert_eq!(words[..start.len()], *start, "{words:?}");
    let [dash_h, header, dash_d, body, target @ ..] = &words[start.len()..] else { panic!("{words:?}") };
    assert_eq!((dash_h.as_str(), dash_d.as_str()), ("-H", "-d"));
    let method = match target {
        [at, method] => (at == address).then_some(method.as_str()),
        [url] => url.strip_prefix(&format!("http://{address}/")),
        _ => None,
    };
    let method = method.unwrap_or_else(|| panic!("not for {address}: {words:?}")).to_owned();
    Shown { header: header.clone(), body: body.clone(), method }
}

/// Makes a call that was shown. Every field of its body must be one that is known here.
async fn make(service: &Service, call: &Shown) -> Result<(), Status> {
    let caller = service.caller(call.header.strip_prefix("x-api-key: ").expect("a key"));
    let body: Value = serde_json::from_str(&call.body).unwrap();
    let mut body = body.as_object().unwrap().clone();
    let mut text = |field: &str| body.remove(field).map(|value| value.as_str().unwrap().to_owned());
    let id = text("conversation_id");
    let done = match call.method.strip_prefix("inkbox.imessage.v1.").unwrap() {
        "ConversationService/ListConversations" => {
            let limit = body.remove("limit").map(|limit| i32::try_from(limit.as_i64().unwrap()).unwrap());
            let request = ListConversationsRequest { limit, ..Default::default() };
            caller.list_conversations(request).await.map(|page| assert_eq!(page.conversations.len(), 1))
        }
        "ConversationService/GetConversation" => {
            let request = GetConversationRequest { conversation_id: id.unwrap(), agent_identity_id: None };
            caller.get_conversation(request).await.map(drop)
        }
        "ConversationService/MarkConversationRead" => {
            let request = MarkConversationReadRequest { conversation_id: id.unwrap(), ..Default::default() };
            caller.mark_conversation_read(request).await.map(|marked| assert!(marked.updated_count > 0))
        }
        "ConversationService/SendTypingIndicator" => {
            let request = SendTypingIndicatorRequest { conversation_id: id.unwrap(), ..Default::default() };
            caller.send_typing_indicator(request).await.map(drop)
        }
        "MessageService/ListMessages" => {
            let request = ListMessagesRequest { conversation_id: id, ..Default::default() };
            caller.list_messages(request).await.map(|page| assert!(!page.messages.is_empty()))
        }
        "MessageService/SendMessage" => {
            let target = Some(send_message_request::Target::ConversationId(id.unwrap()));
            let request = SendMessageRequest { target, text: text("text"), ..Default::default() };
            caller.send_message(request).await.map(|sent| assert!(sent.message.is_some()))
        }
        "EventService/WatchEvents" => Watcher::open(&caller, WatchEventsRequest::default())
            .await
            .map(|watcher| assert!(!watcher.cursor.is_empty())),
        "ConnectionService/ListConnections" => {
            let page = caller.list_connections(ListConnectionsRequest::default()).await;
            page.map(|page| assert_eq!(page.connections.len(), 1))
        }
        "SandboxService/ListDeliveries" => {
            let page = caller.list_deliveries(ListDeliveriesRequest::default()).await;
            page.map(|page| assert!(!page.deliveries.is_empty()))
        }
        "RouterService/ReceiveMessage" => {
            let request = ReceiveMessageRequest {
                line_number: text("line_number").unwrap(),
                remote_number: text("remote_number").unwrap(),
                text: text("text"),
                provider_message_id: text("provider_message_id").unwrap(),
                ..Default::default()
            };
            let answer = caller.receive_message(request).await;
            answer.map(|answer| assert_eq!(answer.outcome(), ReceiveOutcome::Stored))
        }
        other => panic!("the page shows {other}: say here how to make that call"),
    };
    assert!(body.is_empty(), "fields that the call does not have: {body:?}");
    done
}

#[tokio::test]
async fn every_call_that_the_demo_prints_works_when_it_is_pasted() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &["--demo"]).await;
    let page = page(&service).await;
    let address = service.address.to_string();

    let with_grpcurl: Vec<_> =
        pasted(&page, "grpcurl").iter().map(|words| shown(words, &["-plaintext"], &address)).collect();
    let start = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
    let with_buf: Vec<_> = pasted(&page, "buf").iter().map(|words| shown(words, &start, &address)).collect();
    assert_eq!(with_grpcurl, with_buf);
    assert!(with_grpcurl.len() >= 7, "{with_grpcurl:?}");
    for call in &with_grpcurl {
        make(&service, call).await.unwrap_or_else(|status| panic!("{call:?}: {status:?}"));
    }
}

async fn who_am_i(service: &Service, key: &str) -> Result<ApiKeyScope, Status> {
    service.caller(key).who_am_i(WhoAmIRequest {}).await.map(|answer| answer.api_key.unwrap().scope())
}

#[tokio::test]
async fn each_start_of_the_demo_gives_keys_that_work_and_ends_those_of_the_start_before() {
    let roles =
        [("admin", ApiKeyScope::Admin), ("agent", ApiKeyScope::Identity), ("router", ApiKeyScope::Router)];
    let folder = Folder::migrated().await;
    let mut earlier: Vec<String> = Vec::new();
    let mut conversations = Vec::new();
    // By the variable, and without the word `serve`: both are the same.
    for start in 0..3 {
        let mut command = command(&folder, if start == 1 { &[] } else { &["serve"] });
        command.env("INKBOX_DEMO", "true");
        let service = Service::spawn(command).await;
        let page = page(&service).await;
        for key in &earlier {
            assert_reason(who_am_i(&service, key).await, "API_KEY_INVALID");
        }
        earlier.clear();
        for (role, scope) in roles {
            let key = key(&page, role);
            assert_eq!(who_am_i(&service, &key).await.unwrap(), scope);
            earlier.push(key);
        }
        conversations.push(the_conversation(&service.caller(&earlier[1])).await);
        service.stop().await;
    }
    conversations.dedup();
    assert_eq!(conversations.len(), 1, "what visitors did stays: {conversations:?}");
}

async fn the_conversation(agent: &Caller) -> String {
    let page = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(page.conversations.len(), 1);
    page.conversations[0].id.clone()
}
