//! The HTTP endpoint for operators: `GET /metrics`, and the probes `/livez` and `/readyz`, which clients of the API cannot
//! keep from being answered. On a listener of its own, so that it can be kept from these clients.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Exposition;
use crate::net::http1::{self, AtCapacity, Http1Limits};

const LIMITS: Http1Limits = Http1Limits {
    name: "metrics",
    // A scraper needs one connection; operators may look as well.
    max_connections: 16,
    // Half of them, so that the probes of an orchestrator find a place whatever another address does.
    max_connections_per_peer: 8,
    at_capacity: AtCapacity::Reject,
    header_timeout: Duration::from_secs(5),
    max_header_bytes: 16 << 10,
    keep_alive: true,
    // Scrapers that keep a connection open simply open another one.
    max_connection_age: Some(Duration::from_mins(5)),
    // A scrape takes milliseconds.
    drain_timeout: Some(Duration::from_secs(1)),
};
/// Media type of the `OpenMetrics` text format.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Serves scrapes until `stop` is cancelled.
///
/// `serving` says whether calls should be routed to this process.
pub async fn serve(
    listener: TcpListener,
    exposition: Exposition,
    serving: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let ready = move || std::future::ready(readiness(*serving.borrow()));
    let router = Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(exposition))
        .route("/livez", get(|| std::future::ready("alive")))
        .route("/readyz", get(ready));
    http1::serve(listener, router, LIMITS, stop).await;
}

fn readiness(is_serving: bool) -> (StatusCode, &'static str) {
    if is_serving { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") }
}

/// Prometheus asks for gzip: a scrape is then a tenth as large.
async fn scrape(State(exposition): State<Arc<Exposition>>, request: HeaderMap) -> Response {
    let headers = [(CONTENT_TYPE, OPEN_METRICS), (VARY, HeaderValue::from_static("accept-encoding"))];
    let Ok(text) = exposition.text() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    if !accepts_gzip(&request) {
        return (headers, text).into_response();
    }
    match gzip(text.as_bytes()) {
        Ok(body) => (headers, [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the client names gzip, and does not exclude it with a weight of zero.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight != Some(0.0)
    })
}

fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}
