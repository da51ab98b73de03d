//! The HTTP endpoint of the metrics: `GET /metrics` on a listener that serves nothing else, so that it can be kept from
//! clients of the API.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Exposition;
use crate::net::http1::{self, AtCapacity, Http1Limits};

const LIMITS: Http1Limits = Http1Limits {
    name: "metrics",
    // A scraper needs one connection; operators may look as well.
    max_connections: 16,
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
pub async fn serve(listener: TcpListener, exposition: Exposition, stop: CancellationToken) {
    let router = Router::new().route("/metrics", get(scrape)).with_state(Arc::new(exposition));
    http1::serve(listener, router, LIMITS, stop).await;
}

async fn scrape(State(exposition): State<Arc<Exposition>>) -> Response {
    match exposition.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(std::fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
