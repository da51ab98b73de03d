//! Bounds on what one process takes on: how many calls at once, and how long each may take.
//!
//! tonic's own time-out answers `CANCELLED`, and its own limit cannot except health; hence this layer. A call beyond
//! the bound is refused at once, before anything is looked up: a queue would only make every caller late.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::body::Body;
use tower::{Layer, Service};

use super::access_log::RequestId;
use super::auth::is_open_service;
use super::status;
use crate::error::Error;

/// The header in which a client says how long it will wait.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// We answer this much before the client's own time is over (a fiftieth, within bounds), so that it hears why, and
/// before tonic's timer, which would say something else.
const HEAD_START: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));
/// After how long a refused call is worth trying again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What one process takes on.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls at once; health and reflection are not counted.
    pub in_flight: usize,
    /// The longest that a call may take, whatever its client says.
    pub longest: Duration,
}

/// Keeps calls within their limits.
#[derive(Clone)]
pub struct LimitsLayer {
    places: Arc<Semaphore>,
    longest: Duration,
}

impl LimitsLayer {
    /// A layer with these limits, shared by all connections.
    #[must_use]
    pub fn new(limits: CallLimits) -> Self {
        Self { places: Arc::new(Semaphore::new(limits.in_flight)), longest: limits.longest }
    }
}

impl<S> Layer<S> for LimitsLayer {
    type Service = Limits<S>;

    fn layer(&self, inner: S) -> Limits<S> {
        Limits { limits: self.clone(), inner }
    }
}

/// The service that [`LimitsLayer`] makes.
#[derive(Clone)]
pub struct Limits<S> {
    limits: LimitsLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for Limits<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        if is_open_service(request.uri().path()) {
            return Box::pin(inner.call(request));
        }
        let request_id = request.extensions().get::<RequestId>().cloned();
        let refuse = move |error: &Error| {
            let request_id = request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
            Ok(status::of(error, request_id).into_http())
        };
        let Ok(place) = self.limits.places.clone().try_acquire_owned() else {
            return Box::pin(async move { refuse(&Error::Overloaded { retry_after: RETRY_AFTER }) });
        };
        let time = time_for(request.headers(), self.limits.longest);
        Box::pin(async move {
            let _place = place;
            match timeout(time, inner.call(request)).await {
                Ok(response) => response,
                Err(_) => refuse(&Error::DeadlineExceeded),
            }
        })
    }
}

/// How long a call may take: as long as its client waits, but not longer than we let it.
fn time_for(headers: &HeaderMap, longest: Duration) -> Duration {
    let asked = headers.get(GRPC_TIMEOUT).and_then(|value| value.to_str().ok()).and_then(parse_timeout);
    match asked {
        Some(asked) if asked <= longest => {
            asked.saturating_sub((asked / 50).clamp(HEAD_START.0, HEAD_START.1))
        }
        _ => longest,
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Requests"). What cannot be read says
/// nothing.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse::<u64>().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_timeout;

    #[test]
    fn grpc_timeouts_are_digits_and_a_unit() {
        for (text, time) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(parse_timeout(text), Some(time), "{text}");
        }
        for bad in ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", "1 S", "é", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad:?}");
        }
    }
}
