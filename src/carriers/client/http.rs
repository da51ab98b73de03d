//! The HTTP client of all carriers: bounded in time and size, without redirects and retries.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Response};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::carriers::settings::CarrierConfigError;
use crate::clock::Clock;
use crate::telemetry::trace;

/// Maximum time to open a connection, name resolution and TLS included.
const MAX_CONNECT_TIME: Duration = Duration::from_secs(3);
/// Idle connections kept per host.
const MAX_IDLE_CONNECTIONS: usize = 32;
/// Below the minute after which the carriers' load balancers close idle connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum retry delay that is passed on from a carrier to callers.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A response of a carrier's API.
#[derive(Debug, Clone, Default)]
pub(in crate::carriers) struct HttpResponse {
    pub(in crate::carriers) status: u16,
    /// `retry-after`, at most an hour.
    pub(in crate::carriers) retry_after: Option<Duration>,
    /// `x-should-retry`.
    pub(in crate::carriers) should_retry: Option<bool>,
    /// `None` if the body was truncated, late or too large.
    pub(in crate::carriers) body: Option<Vec<u8>>,
    /// Whether the body was too large.
    pub(in crate::carriers) is_too_large: bool,
}

/// The result of a request. Causes are for the log.
#[derive(Debug)]
pub(in crate::carriers) enum Exchange {
    Response(HttpResponse),
    /// No connection was opened, so the request was not sent.
    NotSent(String),
    /// The request was sent, or may have been, and there was no response.
    NoResponse(String),
}

/// Cheap to clone.
#[derive(Clone)]
pub(in crate::carriers) struct HttpClient {
    client: Client,
    clock: Arc<dyn Clock>,
}

impl HttpClient {
    /// A client for calls that take `call_timeout` at most.
    pub(in crate::carriers) fn new(
        clock: Arc<dyn Clock>,
        call_timeout: Duration,
    ) -> Result<Self, CarrierConfigError> {
        // ring is set explicitly: rustls' default provider needs a C++ toolchain, and a process-wide default provider
        // would be a global.
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(rustls::ConfigBuilder::with_platform_verifier)
                .map_err(|error| CarrierConfigError::Tls(error.to_string()))?
                .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            // A redirected POST would send the credentials to another host.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Well below the call timeout, so that a failure to connect is reported as `NotSent`.
            .connect_timeout(MAX_CONNECT_TIME.min(call_timeout / 4))
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .map_err(|error| CarrierConfigError::Client(error.without_url().to_string()))?;
        Ok(Self { client, clock })
    }

    /// Sends one request and reads the response, with a body of `max_body_bytes` at most, until `deadline`.
    pub(in crate::carriers) async fn exchange(
        &self,
        mut request: Request,
        max_body_bytes: usize,
        deadline: Instant,
    ) -> Exchange {
        request.headers_mut().extend(trace::outgoing_headers());
        let response = match timeout_at(deadline, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            // Without the URL, which may contain a password.
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                return Exchange::NotSent(with_causes(&error.without_url()));
            }
            Ok(Err(error)) => return Exchange::NoResponse(with_causes(&error.without_url())),
            Err(_) => return Exchange::NoResponse("timeout".to_owned()),
        };
        let headers = response.headers();
        let mut result = HttpResponse {
            status: response.status().as_u16(),
            retry_after: self.retry_after(headers),
            should_retry: header(headers, "x-should-retry").and_then(|text| text.parse().ok()),
            body: None,
            is_too_large: false,
        };
        match timeout_at(deadline, read(response, max_body_bytes)).await {
            Ok(Body::Complete(body)) => result.body = Some(body),
            Ok(Body::TooLarge) => result.is_too_large = true,
            Ok(Body::Incomplete) | Err(_) => {}
        }
        Exchange::Response(result)
    }

    /// Parses `retry-after`, which is a number of seconds or a date.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = header(headers, RETRY_AFTER.as_str())?;
        let delay = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let date = DateTime::parse_from_rfc2822(text).ok()?;
                (date.to_utc() - self.clock.now()).to_std().unwrap_or_default()
            }
        };
        Some(delay.min(MAX_RETRY_AFTER))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

enum Body {
    Complete(Vec<u8>),
    Incomplete,
    TooLarge,
}

async fn read(mut response: Response, max_bytes: usize) -> Body {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Body::Complete(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > max_bytes => return Body::TooLarge,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(_) => return Body::Incomplete,
        }
    }
}

/// The error with its chain of causes: reqwest's own text is only "error sending request".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Appends path segments to a base URL, which may have a path.
pub(in crate::carriers) fn url_below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // Base URLs are validated to be http or https, which have paths.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use url::Url;

    use super::{HttpClient, url_below};
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn segments_are_appended_to_the_path_of_the_base() {
        for (base, url) in [
            ("https://a.example", "https://a.example/api/x"),
            ("https://a.example/", "https://a.example/api/x"),
            ("https://a.example/mac1", "https://a.example/mac1/api/x"),
        ] {
            assert_eq!(url_below(&Url::parse(base).expect("a URL"), &["api", "x"]).as_str(), url);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_an_hour_at_most() {
        let http = HttpClient::new(Arc::new(SystemClock), Duration::from_secs(1)).expect("a client");
        let retry_after = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a header");
            http.retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("100000"), Some(Duration::from_hours(1)));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later = (SystemClock.now() + chrono::TimeDelta::minutes(2)).to_rfc2822();
        let delay = retry_after(&later).expect("a time");
        assert!((Duration::from_secs(100)..=Duration::from_mins(2)).contains(&delay), "{delay:?}");
    }
}
