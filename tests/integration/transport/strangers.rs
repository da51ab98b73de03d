//! Clients without an API key, and clients that do not read: what they can hold is bounded, and others are served.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use inkbox_imessage::proto::WhoAmIRequest;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::support::{Human, PATIENCE, TestApp, assert_reason, eventually};

/// An HTTP/2 connection, and its end.
struct Connection {
    requests: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
}

impl Connection {
    async fn from(app: &TestApp, address: Ipv4Addr, window: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((address, 0))).unwrap();
        let stream = socket.connect(app.address).await.unwrap();
        let handshake = h2::client::Builder::new().initial_window_size(window).handshake(stream);
        let (requests, connection) = handshake.await.unwrap();
        Self { requests, ended: tokio::spawn(connection) }
    }

    async fn silent(app: &TestApp) -> Self {
        Self::from(app, Ipv4Addr::LOCALHOST, 65_535).await
    }

    /// Calls a method with these bytes as its body, which ends if `is_complete`.
    async fn call(
        &self,
        path: &str,
        key: Option<&str>,
        body: &[u8],
        is_complete: bool,
    ) -> Response<h2::RecvStream> {
        let mut request = Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, mut stream) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::copy_from_slice(body), is_complete).unwrap();
        timeout(PATIENCE, response).await.expect("a response").unwrap()
    }
}

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const LIST_MESSAGES: &str = "/inkbox.imessage.v1.MessageService/ListMessages";
const WHO_AM_I: &str = "/inkbox.imessage.v1.ApiKeyService/WhoAmI";
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// A gRPC frame with an empty message.
const EMPTY: [u8; 5] = [0; 5];

#[tokio::test]
async fn requests_of_health_and_reflection_have_at_most_4_kib() {
    let app = TestApp::start().await;
    let service = "s".repeat(5_000);
    let checked =
        HealthClient::new(app.channel()).check(HealthCheckRequest { service: service.clone() }).await;
    assert_reason(checked, "TOO_LARGE");
    let request = ServerReflectionRequest { host: service, ..Default::default() };
    let mut answers = ServerReflectionClient::new(app.channel())
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    assert!(!matches!(answers.message().await, Ok(Some(_))), "it is not answered");
}

#[tokio::test]
async fn a_health_request_that_is_not_completed_is_refused_after_seconds() {
    let app = TestApp::start().await;
    let connection = Connection::silent(&app).await;
    let response = connection.call(CHECK, None, &[0, 0, 0], false).await;
    assert_eq!(response.headers()["grpc-status"], "4");
}

#[tokio::test]
async fn watches_from_one_address_do_not_keep_health_checks_from_others() {
    let app = TestApp::start().await;
    let here = Connection::silent(&app).await;
    let mut watches = Vec::new();
    for _ in 0..64 {
        watches.push(here.call(WATCH, None, &EMPTY, true).await);
    }
    assert!(watches.iter().all(|watch| !watch.headers().contains_key("grpc-status")));
    let refused = here.call(WATCH, None, &EMPTY, true).await;
    assert_eq!(refused.headers()["grpc-status"], "8");
    let there = Connection::from(&app, Ipv4Addr::new(127, 0, 0, 2), 65_535).await;
    for (connection, path) in [(&here, CHECK), (&there, CHECK), (&there, WATCH)] {
        let taken = connection.call(path, None, &EMPTY, true).await;
        assert!(!taken.headers().contains_key("grpc-status"), "{taken:?}");
    }
    drop(watches);
    eventually("there is room again", async || {
        let checked = here.call(WATCH, None, &EMPTY, true).await;
        (!checked.headers().contains_key("grpc-status")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_without_a_caller_is_closed_and_one_with_a_caller_is_not() {
    let app = TestApp::with(|settings| {
        settings.connections.unauthenticated_idle = Duration::from_millis(200);
    })
    .await;
    let admin = app.admin("org_a").await;
    let called = Connection::silent(&app).await;
    called.call(WHO_AM_I, admin.secret.as_deref(), &EMPTY, true).await;
    let silent = Connection::silent(&app).await;
    timeout(PATIENCE, silent.ended).await.expect("the end of the silent connection").unwrap().unwrap();
    assert!(!called.ended.is_finished());
}

#[tokio::test]
async fn a_client_is_served_although_silent_connections_use_every_place() {
    let app = TestApp::with(|settings| settings.connections.connections = 4).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(Connection::silent(&app).await);
    }
    assert_eq!(app.health("liveness").await, Some("SERVING"));
    app.admin("org_a").await.who_am_i(WhoAmIRequest {}).await.unwrap();
    eventually("earlier connections were closed", async || {
        (silent.iter().filter(|connection| connection.ended.is_finished()).count() >= 8).then_some(())
    })
    .await;
}

#[tokio::test]
async fn connections_from_one_address_are_bounded() {
    let app = TestApp::with(|settings| settings.connections.per_peer = 3).await;
    let admin = app.admin("org_a").await;
    let here = Ipv4Addr::new(127, 0, 0, 3);
    let mut open = Vec::new();
    for _ in 0..3 {
        let connection = Connection::from(&app, here, 65_535).await;
        connection.call(WHO_AM_I, admin.secret.as_deref(), &EMPTY, true).await;
        open.push(connection);
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((here, 0))).unwrap();
    let mut rejected = socket.connect(app.address).await.unwrap();
    let closed = timeout(PATIENCE, rejected.read_u8()).await.expect("the end of the connection");
    assert!(closed.is_err());
    let there = Connection::from(&app, Ipv4Addr::new(127, 0, 0, 4), 65_535).await;
    there.call(CHECK, None, &EMPTY, true).await;
    assert!(open.iter().all(|connection| !connection.ended.is_finished()));
}

#[tokio::test]
async fn a_response_that_nobody_reads_is_reset_and_a_watch_without_news_is_not() {
    let app = TestApp::with(|settings| {
        settings.connections.response_stall = Duration::from_millis(300);
    })
    .await;
    let admin = app.admin("org_a").await;
    let mut watch =
        HealthClient::new(app.channel()).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap();
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    human.says(&thread, &"a".repeat(18_996)).await;
    // Nothing at all is read, or less than the response.
    for (window, path) in [(0, WHO_AM_I), (1, LIST_MESSAGES)] {
        let connection = Connection::from(&app, Ipv4Addr::LOCALHOST, window).await;
        let mut body = connection.call(path, admin.secret.as_deref(), &EMPTY, true).await.into_body();
        let reset = loop {
            match timeout(PATIENCE, body.data()).await.expect("the end of the stream").unwrap() {
                Ok(_) => {}
                Err(reset) => break reset,
            }
        };
        assert_eq!(reset.reason(), Some(h2::Reason::CANCEL), "{path}");
    }
    assert_eq!(app.parts.admission.calls.used(), 0);
    assert!(timeout(Duration::from_secs(1), watch.message()).await.is_err(), "the watch goes on");
    app.stop.cancel();
    let ended = loop {
        match watch.message().await {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);
}
