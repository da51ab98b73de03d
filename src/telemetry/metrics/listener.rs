//! The metrics' own address: `/metrics` and nothing else, so that it can be kept from callers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Exposition;

/// Most connections at once: a scraper has one, and people look too. More are closed at once.
const CONNECTIONS: usize = 16;
/// How long a client may take to say what it wants.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// The longest that a connection lives. Scrapers that keep theirs open simply open another.
const CONNECTION_LIMIT: Duration = Duration::from_mins(5);
/// After a failure to accept, such as no free file: trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The text format's media type.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Serves scrapes until `stop`; connections are closed then.
pub async fn serve(listener: TcpListener, exposition: Exposition, stop: CancellationToken) {
    let exposition = Arc::new(exposition);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let (exposition, stop) = (exposition.clone(), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    tokio::select! {
                        // A scrape that broke off is the scraper's to tell.
                        _ = timeout(CONNECTION_LIMIT, converse(stream, exposition)) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "a scrape was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn converse(stream: TcpStream, exposition: Arc<Exposition>) -> hyper::Result<()> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = answer(&request, &exposition);
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

fn answer<B>(request: &Request<B>, exposition: &Exposition) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET && request.method() != Method::HEAD {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    } else if let Ok(text) = exposition.text() {
        *response.body_mut() = Full::from(text);
        response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    } else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}
