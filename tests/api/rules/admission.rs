//! Shares of organizations in the limits that all share: see `src/admission`.

use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use inkbox_imessage::proto::message_service_client::MessageServiceClient;
use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    ListConnectionsRequest, ListContactRulesRequest, ListMessagesRequest, SendMessageRequest,
};
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::callers::Caller;
use crate::support::locks::{commit, locking};
use crate::support::{Human, TestApp, assert_reason, eventually};

/// The sandbox takes 2 s for this number.
const SLOW: &str = "+15005550003";
const LONGEST_TEXT: usize = 18_996;

/// Waits until so many calls are in progress.
async fn until_in_progress(app: &TestApp, calls: usize) {
    let used = || app.parts.admission.calls.used();
    eventually(&format!("{calls} calls are in progress"), async || (used() == calls).then_some(())).await;
}

#[tokio::test]
async fn an_organization_uses_its_share_of_the_calls_and_others_are_served() {
    let app = TestApp::with(|settings| settings.admission.calls = 8).await;
    let (noisy, other) = (app.admin("org_noisy").await, app.admin("org_other").await);
    for caller in [&noisy, &other] {
        caller.list_connections(ListConnectionsRequest::default()).await.unwrap();
    }
    let rules = locking(&app, "BEGIN; LOCK TABLE contact_rules").await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let noisy = noisy.clone();
            tokio::spawn(async move { noisy.list_contact_rules(ListContactRulesRequest::default()).await })
        })
        .collect();
    until_in_progress(&app, 2).await;

    let refused = noisy.list_connections(ListConnectionsRequest::default()).await;
    assert!(assert_reason(refused, "OVERLOADED").retry_info().is_some());
    other.list_connections(ListConnectionsRequest::default()).await.unwrap();
    commit(rules).await;
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    until_in_progress(&app, 0).await;
    noisy.list_connections(ListConnectionsRequest::default()).await.unwrap();
}

/// A client that sends requests and receives only the first bytes of the response bodies: as many as its windows allow.
struct NonReader {
    requests: h2::client::SendRequest<Bytes>,
    _connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl NonReader {
    async fn connect(app: &TestApp, window: u32) -> Self {
        let stream = TcpStream::connect(app.address).await.unwrap();
        let client = h2::client::Builder::new().initial_window_size(window).handshake(stream);
        let (requests, connection) = client.await.unwrap();
        Self { requests, _connection: tokio::spawn(connection) }
    }

    /// The response of a call: its head, and the body, of which nothing was received.
    async fn list_messages(&self, caller: &Caller, limit: i32) -> http::Response<RecvStream> {
        let message = ListMessagesRequest { limit: Some(limit), ..Default::default() }.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let request = http::Request::post("http://test/inkbox.imessage.v1.MessageService/ListMessages")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-api-key", caller.secret.as_deref().unwrap())
            .body(())
            .unwrap();
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        body.send_data([&[0], &length[..], &message].concat().into(), true).unwrap();
        response.await.unwrap()
    }
}

#[tokio::test]
async fn a_response_that_nobody_reads_counts_as_a_call_until_its_stream_is_reset() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let client = NonReader::connect(&app, 0).await;
    let response = client.list_messages(&admin, 50).await;
    assert!(!response.headers().contains_key("grpc-status"), "a body follows: {response:?}");
    assert_eq!(app.parts.admission.calls.used(), 1);
    drop(response);
    until_in_progress(&app, 0).await;
}

#[tokio::test]
async fn small_responses_that_are_not_read_to_their_end_count_as_calls() {
    // The share is two calls.
    let app = TestApp::with(|settings| settings.admission.calls = 8).await;
    let identity = app.identity("org_a").await;
    Human::new(&app, "+15550000001").await.converses(&identity, "hello").await;
    let (admin, other) = (app.admin("org_a").await, app.admin("org_b").await);
    // The first byte arrives, so that the whole response is given to HTTP/2.
    let client = NonReader::connect(&app, 1).await;
    let mut unread = Vec::new();
    for _ in 0..2 {
        let mut response = client.list_messages(&admin, 50).await;
        let read = response.body_mut().data().await.unwrap().unwrap();
        assert_eq!(read.len(), 1);
        unread.push(response);
    }
    let list = || ListMessagesRequest::default();
    assert!(assert_reason(admin.list_messages(list()).await, "OVERLOADED").retry_info().is_some());
    other.list_messages(list()).await.unwrap();
    drop(unread);
    until_in_progress(&app, 0).await;
    admin.list_messages(list()).await.unwrap();
}

#[tokio::test]
async fn the_bytes_of_unread_responses_are_limited_per_organization() {
    // The share is 512 KiB, and the page has 228 KB, which count twice.
    let app = TestApp::with(|settings| settings.admission.memory = 2 << 20).await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15550000001").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    for _ in 0..3 {
        human.says(&thread, &"😀".repeat(LONGEST_TEXT)).await;
    }
    let list = || ListMessagesRequest { limit: Some(3), ..Default::default() };
    let (admin, other) = (app.admin("org_a").await, app.admin("org_b").await);
    let client = NonReader::connect(&app, 0).await;
    let unread = client.list_messages(&admin, 3).await;

    assert!(assert_reason(admin.list_messages(list()).await, "OVERLOADED").retry_info().is_some());
    other.list_messages(list()).await.unwrap();
    drop(unread);
    until_in_progress(&app, 0).await;
    assert_eq!(admin.list_messages(list()).await.unwrap().messages.len(), 3);
}

#[tokio::test]
async fn the_bytes_of_requests_are_limited_per_organization() {
    let app = TestApp::with(|settings| settings.admission.memory = 256 << 10).await;
    let admin = app.admin("org_a").await;
    let request =
        |characters| SendMessageRequest { text: Some("a".repeat(characters)), ..Default::default() };
    // The share is 64 KiB.
    assert_reason(admin.send_message(request(100 << 10)).await, "OVERLOADED");
    assert_reason(admin.send_message(request(32 << 10)).await, "INVALID_ARGUMENT");
    assert_eq!(app.parts.admission.memory.used(), 0);
}

#[tokio::test]
async fn work_that_continues_without_its_caller_counts_as_a_call_until_its_end() {
    let app = TestApp::with(|settings| settings.line_time_out = Duration::from_secs(10)).await;
    let identity = app.identity("org_a").await;
    let (_, conversation_id) = Human::new(&app, SLOW).await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let mut request = agent.request(SendMessageRequest {
        target: Some(Target::ConversationId(conversation_id)),
        text: Some("sent all the same".to_owned()),
        ..Default::default()
    });
    request.metadata_mut().insert("grpc-timeout", "500m".parse().unwrap());
    let late = MessageServiceClient::new(agent.channel.clone()).send_message(request).await.unwrap_err();
    // The client has the same deadline, and may end the call first.
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    assert_eq!(app.parts.admission.calls.used(), 1);
    until_in_progress(&app, 0).await;
    let sent = agent.list_messages(ListMessagesRequest::default()).await.unwrap();
    assert!(sent.messages.iter().any(|message| message.text() == "sent all the same"));
}
