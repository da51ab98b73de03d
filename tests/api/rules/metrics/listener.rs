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
async fn connections_beyond_its_bound_are_closed_and_one_that_says_nothing_gives_its_place_back() {
    let app = TestApp::start().await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(app.metrics).await.unwrap());
    }
    let mut beyond = TcpStream::connect(app.metrics).await.unwrap();
    assert!(timeout(PATIENCE, beyond.read_u8()).await.expect("an end").is_err());
    for stream in &mut silent {
        assert!(timeout(Duration::from_millis(1), stream.read_u8()).await.is_err(), "still open");
    }
    for stream in &mut silent {
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("an end");
    }
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
