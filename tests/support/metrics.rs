//! A scraper of metrics, like Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// The result of one scrape.
#[derive(Debug)]
pub struct Scrape {
    pub text: String,
}

/// Requests a path; returns the head and the body of the response.
pub async fn http(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

impl Scrape {
    pub async fn of(address: SocketAddr) -> Self {
        let (head, text) = http(address, "GET", "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        Self { text }
    }

    /// Every series with its labels and value.
    pub fn series(&self) -> Vec<(String, BTreeMap<String, String>, f64)> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let labels = labels.strip_suffix('}').unwrap().split("\",").filter(|pair| !pair.is_empty());
                let labels = labels.map(|pair| {
                    let (label, value) = pair.split_once("=\"").unwrap();
                    (label.to_owned(), value.trim_end_matches('"').to_owned())
                });
                (name.to_owned(), labels.collect(), value.parse().unwrap())
            })
            .collect()
    }

    /// The sum of the series of a metric that have these labels, or `None` if there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| of.get(*label).map(String::as_str) == Some(*value))
        };
        let values = self.series().into_iter().filter(|(found, of, _)| found == name && has(of));
        values.map(|(_, _, value)| value).reduce(|one, other| one + other)
    }

    /// The kinds of metrics, by the names used in queries: with `_total` of a counter, without `_bucket` and the like of a
    /// histogram.
    pub fn metrics(&self) -> BTreeMap<String, String> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .map(|line| {
                let (name, kind) = line.split_once(' ').unwrap();
                let suffix = match kind {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                };
                (format!("{name}{suffix}"), kind.to_owned())
            })
            .collect()
    }
}

/// The names of metrics in a text, such as a query.
pub fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("inkbox_") || word.starts_with("process_"));
    ours.map(|word| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word).to_owned()
    })
    .collect()
}
