//! The metrics' own address.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

/// A scrape with this header; its head, and its body as it came.
async fn scrape_accepting(address: SocketAddr, encodings: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\naccept-encoding: ";
    stream.write_all(format!("{head}{encodings}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

#[tokio::test]
async fn a_scrape_is_compressed_for_scrapers_that_accept_it() {
    let app = TestApp::start().await;
    for encodings in ["gzip", "deflate, GZIP;q=0.5", "gzip;q=1.0,identity"] {
        let (head, body) = scrape_accepting(app.metrics, encodings).await;
        assert!(head.contains("content-encoding: gzip"), "{encodings}: {head}");
        let mut text = String::new();
        GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
        assert!(text.ends_with("# EOF\n") && body.len() * 5 < text.len(), "{} of {}", body.len(), text.len());
    }
    for encodings in ["identity", "br", "gzip;q=0", ""] {
        let (head, body) = scrape_accepting(app.metrics, encodings).await;
        assert!(!head.contains("content-encoding") && body.ends_with(b"# EOF\n"), "{encodings}: {head}");
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
