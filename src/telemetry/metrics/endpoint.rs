//! The HTTP endpoint for operators: `GET /metrics`, and the probes `/livez` and `/readyz`, which clients of the API cannot
//! keep from being answered. On a listener of its own, so that it can be kept from these clients.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
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

async fn scrape(State(exposition): State<Arc<Exposition>>) -> Response {
    match exposition.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(std::fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
