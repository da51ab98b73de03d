//! The HTTP server of the webhooks. HTTP/1.1 in the clear, for a proxy that ends TLS in front of it.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Secrets, routes};
use crate::app::App;

/// Connections at once; more wait in the system's queue. A carrier's bursts are a few dozen.
const MOST_CONNECTIONS: usize = 256;
/// How long the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The largest head.
const HEAD_SIZE: usize = 16 * 1024;
/// After a connection that could not be taken, such as for want of file descriptors: it stays so for a while.
const PAUSE: Duration = Duration::from_millis(100);

/// Webhooks, not yet served.
#[derive(Debug)]
pub struct Webhooks {
    listener: TcpListener,
    secrets: Secrets,
}

impl Webhooks {
    /// Webhooks on this listener, for whoever has a secret.
    #[must_use]
    pub const fn new(listener: TcpListener, secrets: Secrets) -> Self {
        Self { listener, secrets }
    }

    /// Serves until `stop`, then takes no connection more and ends with the last webhook under way. Given up, it cuts
    /// them.
    pub(crate) async fn run(self, app: App, stop: CancellationToken) {
        let router = routes(app, self.secrets);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, router.clone(), stop.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "a connection for webhooks could not be taken");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }
}

async fn serve(stream: TcpStream, router: Router, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(
                router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {}),
            )
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_SIZE)
            // A webhook is one request: a connection that is kept would keep one of few places.
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection for webhooks ended early");
    }
}
