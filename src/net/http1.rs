//! A bounded HTTP/1.1 server for an axum router. It serves the carriers' webhooks and the metrics.
//!
//! `axum::serve` is not used, since it can bound neither the number of connections nor the time of a request's header.
//! Both bounds are needed: an idle client costs a file descriptor for as long as it likes otherwise. Connections are in
//! plain text; a proxy in front of the service terminates TLS.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Pause after a failed accept. A cause such as the limit of file descriptors persists, so that an immediate retry would
/// be a busy loop.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Bounds of one listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http1Limits {
    /// Name of the listener in log messages.
    pub(crate) name: &'static str,
    /// Maximum number of open connections. Bounds memory and file descriptors.
    pub(crate) max_connections: usize,
    /// What happens to further connections.
    pub(crate) at_capacity: AtCapacity,
    /// Maximum time to receive the header of a request, and maximum idle time between two requests. Closes connections of
    /// clients that send nothing.
    pub(crate) header_timeout: Duration,
    /// Size of the read buffer, in bytes, and with it the maximum size of a request's header. At least 8192.
    pub(crate) max_header_bytes: usize,
    /// Whether a connection may serve more than one request.
    pub(crate) keep_alive: bool,
    /// Maximum age of a connection, at which it is closed even in the middle of a response; `None` = unbounded. A bound
    /// closes connections of clients that do not read their responses.
    pub(crate) max_connection_age: Option<Duration>,
    /// Maximum time for requests in progress after the stop; `None` = unbounded, for a caller that drops the future of
    /// [`serve`] at its own deadline.
    pub(crate) drain_timeout: Option<Duration>,
}

/// What happens to connections beyond [`Http1Limits::max_connections`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtCapacity {
    /// They wait in the backlog of the operating system. For clients that deliver data and should not have to retry.
    Wait,
    /// They are closed immediately. For clients that can retry, or use another replica.
    Reject,
}

/// Serves until `stop` is cancelled. Then closes the listener and idle connections, and returns when the requests in
/// progress are complete, or at the drain timeout. Dropping the future closes all connections.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Http1Limits,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept(&listener, &router, limits, &stop, &mut connections) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    match limits.drain_timeout {
        Some(drain_timeout) => {
            if timeout(drain_timeout, drained).await.is_err() {
                let name = limits.name;
                tracing::warn!("{name}: requests in progress were cancelled at the drain timeout");
            }
        }
        None => drained.await,
    }
}

/// Accepts connections for ever.
async fn accept(
    listener: &TcpListener,
    router: &Router,
    limits: Http1Limits,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    loop {
        // Removes the results of closed connections.
        while connections.try_join_next().is_some() {}
        let permit = match limits.at_capacity {
            AtCapacity::Reject => None,
            AtCapacity::Wait => permits.clone().acquire_owned().await.ok(),
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(permit) = permit.or_else(|| permits.clone().try_acquire_owned().ok()) else {
                    continue;
                };
                connections.spawn(serve_connection(stream, router.clone(), limits, stop.clone(), permit));
            }
            Err(error) => {
                let name = limits.name;
                tracing::warn!(error = %error, "{name}: accept failed");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    limits: Http1Limits,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.max_header_bytes)
            .keep_alive(limits.keep_alive)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let max_age = async {
        match limits.max_connection_age {
            Some(age) => sleep(age).await,
            None => std::future::pending().await,
        }
    };
    let served = async {
        tokio::select! {
            result = connection.as_mut() => result,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    tokio::select! {
        result = served => if let Err(error) = result {
            let name = limits.name;
            tracing::debug!(error = %error, "{name}: connection ended with an error");
        },
        () = max_age => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
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
        at_capacity: AtCapacity::Wait,
        header_timeout: LONG,
        max_header_bytes: 8 << 10,
        keep_alive: true,
        max_connection_age: None,
        drain_timeout: None,
    };

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        running: JoinHandle<()>,
    }

    /// Serves `/`, which responds at once, and `/never`, which never responds.
    async fn start(limits: Http1Limits) -> Server {
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/never", get(std::future::pending::<()>));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(listener, router, limits, stop.clone()));
        Server { address, stop, running }
    }

    impl Server {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.expect("a connection")
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

    /// Reads the beginning of a response.
    async fn response(stream: &mut TcpStream) -> String {
        let mut bytes = vec![0; 15];
        timeout(LONG, stream.read_exact(&mut bytes)).await.expect("a response").expect("a response");
        String::from_utf8(bytes).expect("text")
    }

    #[tokio::test]
    async fn a_connection_beyond_the_maximum_waits_for_a_place() {
        let server = start(LIMITS).await;
        let mut first = server.request("/").await;
        assert_eq!(response(&mut first).await, "HTTP/1.1 200 OK");
        let mut second = server.request("/").await;
        assert!(timeout(SHORT, second.read_u8()).await.is_err(), "waits");
        drop(first);
        assert_eq!(response(&mut second).await, "HTTP/1.1 200 OK");
    }

    #[tokio::test]
    async fn a_connection_beyond_the_maximum_is_rejected() {
        let server = start(Http1Limits { at_capacity: AtCapacity::Reject, ..LIMITS }).await;
        let mut first = server.request("/").await;
        assert_eq!(response(&mut first).await, "HTTP/1.1 200 OK");
        assert_eq!(until_closed(server.connect().await).await, "");
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
}
