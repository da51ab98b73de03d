//! The metrics' own address.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::metrics::{Scrape, http};
use crate::support::{PATIENCE, TestApp};

#[tokio::test]
async fn it_serves_metrics_and_nothing_else() {
    let app = TestApp::start().await;
    for (method, path, status) in [
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/healthz", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/metrics", 405),
    ] {
        let (head, body) = http(app.metrics, method, path).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {head}");
        assert_eq!(!body.is_empty(), status == 200 && method == "GET", "{method} {path}: {body}");
    }
}

#[tokio::test]
async fn a_probe_is_answered_although_silent_connections_from_its_address_use_every_place() {
    let app = TestApp::start().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(app.metrics).await.unwrap());
    }
    let (head, _) = http(app.metrics, "GET", "/livez").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut first = silent.swap_remove(0);
    assert!(timeout(PATIENCE, first.read_u8()).await.expect("the end of the first connection").is_err());
    let mut last = silent.pop().unwrap();
    assert!(timeout(Duration::from_millis(1), last.read_u8()).await.is_err(), "still open");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_after_seconds() {
    let app = TestApp::start().await;
    let mut silent = TcpStream::connect(app.metrics).await.unwrap();
    let _ = timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await.expect("an end");
    Scrape::of(app.metrics).await;
}

#[tokio::test]
async fn it_ends_with_the_service() {
    let mut app = TestApp::start().await;
    // A scraper that keeps its connection open holds nothing up.
    let mut open = TcpStream::connect(app.metrics).await.unwrap();
    app.stop.cancel();
    timeout(PATIENCE, &mut app.running).await.expect("an end").unwrap().unwrap();
    assert!(TcpStream::connect(app.metrics).await.is_err());
    assert!(open.read_u8().await.is_err());
}
