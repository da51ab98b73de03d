//! A bounded HTTP/1.1 server for an axum router. It serves the carriers' webhooks and the metrics.
//!
//! `axum::serve` is not used, since it can bound neither the number of connections nor the time of a request's header.
//! Both bounds are needed: an idle client costs a file descriptor for as long as it likes otherwise. Connections are
//! counted as those of gRPC are, in total and per peer; one without a request gives way to a new one. They are in plain
//! text; a proxy in front of the service terminates TLS.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::util::Oneshot;

use super::accept::{ACCEPT_BACKOFF, RateLimitedWarning, concerns_one_connection};
use super::table::{ConnectionTable, Full, Keep, Registration};

/// Bounds of one listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http1Limits {
    /// Name of the listener in log messages.
    pub(crate) name: &'static str,
    /// Maximum number of open connections. Bounds memory and file descriptors. A further one takes the place of the one that
    /// has been idle for longest, of those without a request in progress.
    pub(crate) max_connections: usize,
    /// The same for connections from one IPv4 address or one /64 of IPv6. If all of them have a request in progress, further
    /// ones are closed immediately.
    pub(crate) max_connections_per_peer: usize,
    /// What happens to further connections if all have a request in progress.
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

/// What happens to connections beyond [`Http1Limits::max_connections`] that find no idle one whose place they can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtCapacity {
    /// They wait in the backlog of the operating system, but for the first, which is accepted already. For clients that deliver data and should not have to retry.
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
    let name = limits.name;
    let table = ConnectionTable::new(limits.max_connections, limits.max_connections_per_peer, Keep::InUse);
    let mut warning = RateLimitedWarning::default();
    loop {
        // Removes the results of closed connections.
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => match admit(&table, peer.ip(), limits.at_capacity).await {
                Ok(place) => {
                    connections.spawn(serve_connection(stream, router.clone(), limits, stop.clone(), place));
                }
                Err(Full::Table) => {
                    warning.log(&format!("{name}: connection limit reached: rejecting a connection"), None);
                }
                Err(Full::Peer) => {
                    let what =
                        format!("{name}: connection limit of one address reached: rejecting a connection");
                    warning.log(&what, None);
                }
            },
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                warning.log(&format!("{name}: cannot accept connections"), Some(error));
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// Takes a connection, at once or when another one has become idle.
async fn admit(
    table: &Arc<ConnectionTable>,
    peer: IpAddr,
    at_capacity: AtCapacity,
) -> Result<Registration, Full> {
    loop {
        match table.admit(Some(peer)) {
            Err(Full::Table) if at_capacity == AtCapacity::Wait => table.until_freed().await,
            admitted => return admitted,
        }
    }
}

/// `place` counts it among the open connections.
async fn serve_connection(
    stream: TcpStream,
    router: Router,
    limits: Http1Limits,
    stop: CancellationToken,
    place: Registration,
) {
    let activity = &place.activity;
    let service = service_fn(|request: Request<Incoming>| {
        let (in_progress, response) = (activity.begin_call(), Oneshot::new(router.clone(), request));
        async move {
            let response = response.await?;
            Ok::<_, Infallible>(response.map(|body| {
                // Until all of the response has been given to the connection.
                body.map_frame(move |frame| {
                    let _ = &in_progress;
                    frame
                })
            }))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.max_header_bytes)
            .keep_alive(limits.keep_alive)
            .serve_connection(TokioIo::new(stream), service)
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
            () = activity.until_evicted() => {
                connection.as_mut().graceful_shutdown();
                // A request that arrived in the same moment is still answered.
                if activity.has_calls() { connection.await } else { Ok(()) }
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
#[path = "http1_tests.rs"]
mod tests;
