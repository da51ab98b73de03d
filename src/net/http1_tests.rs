//! The bounds of an HTTP/1.1 listener.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{AtCapacity, Http1Limits, serve};

/// Longer than any of these tests takes on a busy machine.
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(100);

const LIMITS: Http1Limits = Http1Limits {
    name: "test",
    max_connections: 1,
    max_connections_per_peer: 4,
    at_capacity: AtCapacity::Wait,
    header_timeout: LONG,
    max_header_bytes: 8 << 10,
    keep_alive: true,
    max_connection_age: None,
    drain_timeout: None,
};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Another address of the same host.
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
    /// Requests of `/never` that have arrived.
    arrived: Arc<Semaphore>,
}

/// Serves `/`, which responds at once, and `/never`, which never responds.
async fn start(limits: Http1Limits) -> Server {
    let arrived = Arc::new(Semaphore::new(0));
    let arriving = arrived.clone();
    let never = |arriving: Arc<Semaphore>| async move {
        arriving.add_permits(1);
        std::future::pending::<()>().await;
    };
    let router =
        Router::new().route("/", get(|| async { "hello" })).route("/never", get(move || never(arriving)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let running = tokio::spawn(serve(listener, router, limits, stop.clone()));
    Server { address, stop, running, arrived }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    async fn connect_from(&self, address: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((address, 0))).expect("an address");
        socket.connect(self.address).await.expect("a connection")
    }

    /// A connection with a request in progress.
    async fn busy(&self, address: Ipv4Addr) -> TcpStream {
        let mut stream = self.connect_from(address).await;
        stream.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
        timeout(LONG, self.arrived.acquire()).await.expect("arrives").expect("a request").forget();
        stream
    }

    /// Sends one request and leaves the connection open.
    async fn request(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
    }
}

/// Reads until the server closes the connection.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset closes the connection, too.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection is closed");
    String::from_utf8(bytes).expect("text")
}

async fn still_open(mut stream: TcpStream) {
    assert!(timeout(SHORT, stream.read_u8()).await.is_err());
}

/// Reads the beginning of a response.
async fn response(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 15];
    timeout(LONG, stream.read_exact(&mut bytes)).await.expect("a response").expect("a response");
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn a_connection_beyond_the_maximum_waits_for_a_place() {
    let server = start(LIMITS).await;
    let first = server.busy(HERE).await;
    let mut second = server.request("/").await;
    assert!(timeout(SHORT, second.read_u8()).await.is_err(), "waits");
    drop(first);
    assert_eq!(response(&mut second).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_connection_beyond_the_maximum_is_rejected() {
    let server = start(Http1Limits { at_capacity: AtCapacity::Reject, ..LIMITS }).await;
    let first = server.busy(HERE).await;
    assert_eq!(until_closed(server.connect().await).await, "");
    still_open(first).await;
}

#[tokio::test]
async fn a_request_is_answered_although_silent_connections_use_every_place() {
    for at_capacity in [AtCapacity::Wait, AtCapacity::Reject] {
        let server = start(Http1Limits { max_connections: 3, at_capacity, ..LIMITS }).await;
        let busy = server.busy(HERE).await;
        let silent = [server.connect().await, server.connect().await];
        let mut incomplete = server.connect().await;
        incomplete.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
        // All of them from other addresses than the one that asks.
        let mut asking = server.connect_from(THERE).await;
        asking.write_all(HEAD).await.expect("sent");
        assert_eq!(response(&mut asking).await, "HTTP/1.1 200 OK");
        for stream in silent {
            assert_eq!(until_closed(stream).await, "", "the ones that were idle for longest");
        }
        still_open(busy).await;
    }
}

#[tokio::test]
async fn one_address_has_at_most_its_share_of_the_connections() {
    let server = start(Http1Limits { max_connections: 4, max_connections_per_peer: 2, ..LIMITS }).await;
    let busy = server.busy(HERE).await;
    let silent = server.connect().await;
    let second = server.busy(HERE).await;
    assert_eq!(until_closed(silent).await, "", "it gives way to a connection of the same address");
    assert_eq!(until_closed(server.connect().await).await, "", "all of them are in use");
    let mut there = server.connect_from(THERE).await;
    there.write_all(HEAD).await.expect("sent");
    assert_eq!(response(&mut there).await, "HTTP/1.1 200 OK");
    for stream in [busy, second] {
        still_open(stream).await;
    }
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_at_the_header_timeout() {
    let server = start(Http1Limits { header_timeout: SHORT, ..LIMITS }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
    assert!(!until_closed(stream).await.contains("200"));
}

#[tokio::test]
async fn a_connection_is_closed_at_its_maximum_age() {
    let server = start(Http1Limits { max_connection_age: Some(SHORT), ..LIMITS }).await;
    assert_eq!(until_closed(server.request("/never").await).await, "");
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_the_listener() {
    let server = start(Http1Limits { max_connections: 2, ..LIMITS }).await;
    let silent = server.connect().await;
    let mut idle = server.request("/").await;
    assert_eq!(response(&mut idle).await, "HTTP/1.1 200 OK");
    server.stop.cancel();
    until_closed(silent).await;
    until_closed(idle).await;
    timeout(LONG, server.running).await.expect("it returns").expect("no panic");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_stop_cancels_requests_at_the_drain_timeout() {
    let server = start(Http1Limits { drain_timeout: Some(SHORT), ..LIMITS }).await;
    let request = server.request("/never").await;
    sleep(SHORT).await;
    server.stop.cancel();
    timeout(LONG, server.running).await.expect("it returns").expect("no panic");
    assert_eq!(until_closed(request).await, "");
}
