//! HTTP to carriers: one client for all of them, bounded in time and size, without redirects and repetitions.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Response};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::carriers::CarrierConfigError;
use crate::clock::Clock;
use crate::telemetry::trace;

/// The longest that opening a connection may take, TLS and name included.
const LONGEST_CONNECT: Duration = Duration::from_secs(3);
/// Connections to one host that are kept for the next call, and how long. Carriers' balancers close at a minute.
const IDLE_CONNECTIONS: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(30);
/// The longest wait that a carrier's advice is passed on with.
const LONGEST_ADVICE: Duration = Duration::from_hours(1);

/// What a carrier's API answered.
#[derive(Debug, Clone, Default)]
pub(in crate::carriers) struct Answer {
    /// HTTP status.
    pub(in crate::carriers) status: u16,
    /// `retry-after`, at most an hour.
    pub(in crate::carriers) retry_after: Option<Duration>,
    /// `x-should-retry`.
    pub(in crate::carriers) should_retry: Option<bool>,
    /// The body; `None` where it was cut off, late or too long.
    pub(in crate::carriers) body: Option<Vec<u8>>,
}

/// What became of a request.
#[derive(Debug)]
pub(in crate::carriers) enum Exchange {
    /// It was answered.
    Answered(Answer),
    /// No connection: nothing left this process.
    NotSent(String),
    /// It left, or may have, and there was no answer.
    NoAnswer(String),
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub(in crate::carriers) struct Http {
    client: Client,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// A client for calls that take `time_out` at most.
    pub(in crate::carriers) fn new(
        clock: Arc<dyn Clock>,
        time_out: Duration,
    ) -> Result<Self, CarrierConfigError> {
        // ring, named here: rustls' own choice needs a C++ tool chain, and a process-wide default would be a global.
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(rustls::ConfigBuilder::with_platform_verifier)
                .map_err(|error| CarrierConfigError::Tls(error.to_string()))?
                .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            // A redirected POST would take the credentials to another place.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Well within the whole time, so that "no connection" is known as such.
            .connect_timeout(LONGEST_CONNECT.min(time_out / 4))
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIME)
            .build()
            .map_err(|error| CarrierConfigError::Client(error.without_url().to_string()))?;
        Ok(Self { client, clock })
    }

    /// Makes one request and reads its answer, up to `body_limit` bytes, until `give_up`.
    pub(in crate::carriers) async fn exchange(
        &self,
        mut request: Request,
        body_limit: usize,
        give_up: Instant,
    ) -> Exchange {
        request.headers_mut().extend(trace::outgoing_headers());
        let response = match timeout_at(give_up, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            // Without the address, which may hold a password.
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                return Exchange::NotSent(with_causes(&error.without_url()));
            }
            Ok(Err(error)) => return Exchange::NoAnswer(with_causes(&error.without_url())),
            Err(_) => return Exchange::NoAnswer("no answer in time".to_owned()),
        };
        let headers = response.headers();
        let mut answer = Answer {
            status: response.status().as_u16(),
            retry_after: self.retry_after(headers),
            should_retry: header(headers, "x-should-retry").and_then(|text| text.parse().ok()),
            body: None,
        };
        answer.body = timeout_at(give_up, read(response, body_limit)).await.ok().flatten();
        Exchange::Answered(answer)
    }

    /// Seconds, or a date.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = header(headers, RETRY_AFTER.as_str())?;
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let date = DateTime::parse_from_rfc2822(text).ok()?;
                (date.to_utc() - self.clock.now()).to_std().unwrap_or_default()
            }
        };
        Some(wait.min(LONGEST_ADVICE))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

async fn read(mut response: Response, limit: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > limit {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// An error with what caused it: reqwest's own text says no more than "error sending request".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// An address below a base that may have a path of its own.
pub(in crate::carriers) fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // Every base was read as http or https, which have paths.
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

    use super::{Http, below};
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn paths_come_after_the_path_of_the_base() {
        for (base, url) in [
            ("https://a.example", "https://a.example/api/x"),
            ("https://a.example/", "https://a.example/api/x"),
            ("https://a.example/mac1", "https://a.example/mac1/api/x"),
        ] {
            assert_eq!(below(&Url::parse(base).expect("a URL"), &["api", "x"]).as_str(), url);
        }
    }

    #[test]
    fn advice_is_seconds_or_a_date_and_an_hour_at_most() {
        let http = Http::new(Arc::new(SystemClock), Duration::from_secs(1)).expect("a client");
        let advice = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a header");
            http.retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(advice("7"), Some(Duration::from_secs(7)));
        assert_eq!(advice("100000"), Some(Duration::from_hours(1)));
        assert_eq!(advice("soon"), None);
        assert_eq!(advice("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later = (SystemClock.now() + chrono::TimeDelta::minutes(2)).to_rfc2822();
        let wait = advice(&later).expect("a time");
        assert!((Duration::from_secs(100)..=Duration::from_mins(2)).contains(&wait), "{wait:?}");
    }
}
