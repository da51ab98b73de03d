use std::time::Duration;

use inkbox_imessage::proto::{MarkConversationReadRequest, WhoAmIRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Human, PATIENCE, TestApp, eventually};
use crate::transport::frames::Wire;

/// The sandbox takes 2 s for this number.
const SLOW: &str = "+15005550003";

/// How long it took until the service closed a connection.
async fn closed(stream: &mut TcpStream, since: Instant) -> Duration {
    let mut rest = Vec::new();
    let _ =
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the service closes the connection");
    since.elapsed()
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_at_once_and_room_is_found_again() {
    let app = TestApp::with(|settings| settings.connections.connections = 3).await;
    let admin = app.admin("org_a").await;
    // Connections of callers; others give way to new ones.
    let held: Vec<_> = (0..3).map(|_| app.with_secret(admin.secret.as_deref().unwrap())).collect();
    for caller in &held {
        caller.who_am_i(WhoAmIRequest {}).await.unwrap();
    }
    let began = Instant::now();
    let mut fourth = TcpStream::connect(app.address).await.unwrap();
    assert!(closed(&mut fourth, began).await < Duration::from_secs(2));
    assert_eq!(app.health("").await, None);
    drop(held);
    app.until_ready().await;
}

#[tokio::test]
async fn a_connection_that_speaks_no_http2_in_time_is_closed() {
    let limit = Duration::from_millis(400);
    let app = TestApp::with(|settings| settings.connections.handshake = limit).await;
    for said in [&b""[..], b"PRI * HTTP/2.0\r\n\r\n"] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        let waited = closed(&mut stream, began).await;
        assert!(waited > limit / 2 && waited < limit * 5, "{waited:?}");
    }
    // One that has spoken it may be silent for longer.
    let caller = app.admin("org_a").await;
    assert!(caller.who_am_i(WhoAmIRequest {}).await.is_ok());
    assert_eq!(
        closed(&mut TcpStream::connect(app.address).await.unwrap(), Instant::now()).await.as_secs(),
        0
    );
    assert!(caller.who_am_i(WhoAmIRequest {}).await.is_ok());
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_given_up() {
    let app = TestApp::with(|settings| {
        settings.connections.keepalive_interval = Duration::from_millis(200);
        settings.connections.keepalive_time_out = Duration::from_millis(200);
    })
    .await;
    let caller = app.admin("org_a").await;
    assert!(caller.who_am_i(WhoAmIRequest {}).await.is_ok());
    let began = Instant::now();
    Wire::open(app.address).await.last_goaway().await;
    let waited = began.elapsed();
    assert!(waited > Duration::from_millis(200) && waited < Duration::from_secs(3), "{waited:?}");
    assert!(caller.who_am_i(WhoAmIRequest {}).await.is_ok());
}

#[tokio::test]
async fn a_connection_takes_as_many_calls_at_once_as_are_configured() {
    let app = TestApp::with(|settings| settings.connections.streams = 7).await;
    let stream = TcpStream::connect(app.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    eventually("the service has said how many", async || {
        (sender.current_max_send_streams() == 7).then_some(())
    })
    .await;
    driving.abort();
}

#[tokio::test]
async fn a_connection_of_age_moves_on_when_its_calls_are_done() {
    let app = TestApp::with(|settings| {
        settings.line_time_out = Duration::from_secs(10);
        settings.connections.handshake = Duration::from_millis(100);
        settings.connections.age = Some(Duration::from_millis(300));
    })
    .await;
    let identity = app.identity("org_a").await;
    let (_, conversation_id) = Human::new(&app, SLOW).await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;

    // Told to move on, the connection ends when it has no call any more.
    let stream = TcpStream::connect(app.address).await.unwrap();
    let (_sender, connection) = h2::client::handshake(stream).await.unwrap();
    timeout(PATIENCE, connection).await.expect("an end").unwrap();

    let request = MarkConversationReadRequest { conversation_id, ..Default::default() };
    assert_eq!(agent.mark_conversation_read(request).await.unwrap().updated_count, 1);
    // By now the connection has gone, and the client opens another one.
    assert!(agent.who_am_i(WhoAmIRequest {}).await.is_ok());
}

#[tokio::test]
async fn what_stays_on_a_connection_of_age_is_cut_after_its_grace() {
    let app = TestApp::with(|settings| {
        settings.connections.handshake = Duration::from_millis(100);
        settings.connections.age = Some(Duration::from_millis(200));
        settings.connections.age_grace = Duration::from_millis(300);
    })
    .await;
    let mut client = HealthClient::new(app.channel());
    let mut watched = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());
    let ended = timeout(PATIENCE, watched.message()).await.expect("an end");
    assert_ne!(ended.unwrap_err().code(), Code::Ok);
}
