//! The client of one API: bounds on concurrency, queue time and call time, a circuit breaker, and log messages for the
//! operator.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Request;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use url::Url;

use super::assessment::{Assessment, Fault};
use super::circuit_breaker::CircuitBreaker;
use super::http::{Exchange, HttpClient, HttpResponse};
use crate::carriers::error::CarrierError;
use crate::carriers::settings::CarrierSettings;
use crate::domain::CarrierKind;

/// Maximum time that a call waits for its turn. Callers prefer an early error, after which they can retry.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(2);
/// Minimum time between two log messages about the same problem. Every call reports the problem to its caller.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);
/// Maximum size of a response body, in bytes: one message record, with a margin.
pub(in crate::carriers) const MAX_RESPONSE_BYTES: usize = 256 << 10;

/// The client of one host: a carrier's API, or one Mac.
pub(in crate::carriers) struct ApiClient {
    carrier: CarrierKind,
    /// Host and port, for the log.
    host: String,
    http: HttpClient,
    breaker: CircuitBreaker,
    /// One permit per call in progress.
    running: Semaphore,
    /// One permit per call in progress or waiting.
    admitted: Semaphore,
    call_timeout: Duration,
    /// Time of the last log message about each problem. The keys are literals, so their number is bounded.
    last_warnings: Mutex<HashMap<&'static str, Instant>>,
}

impl ApiClient {
    pub(in crate::carriers) fn new(
        carrier: CarrierKind,
        url: &Url,
        http: HttpClient,
        settings: &CarrierSettings,
        call_timeout: Duration,
        breakers_changed: Arc<watch::Sender<()>>,
    ) -> Self {
        let port = url.port_or_known_default().unwrap_or_default();
        let host = format!("{}:{port}", url.host_str().unwrap_or_default());
        Self {
            carrier,
            http,
            breaker: CircuitBreaker::new(carrier, &host, settings.breaker, breakers_changed),
            host,
            running: Semaphore::new(settings.calls),
            admitted: Semaphore::new(2 * settings.calls),
            call_timeout,
            last_warnings: Mutex::default(),
        }
    }

    pub(in crate::carriers) fn breaker_is_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Waits for a turn, sends one request, and assesses the response. Takes the carrier call timeout at most.
    pub(in crate::carriers) async fn call<T>(
        &self,
        request: Request,
        assess: impl FnOnce(&HttpResponse) -> Assessment<T>,
    ) -> Result<T, CarrierError> {
        let deadline = Instant::now() + self.call_timeout;
        let breaker_open =
            || CarrierError::Transient { retry_after: self.breaker.pause().max(CarrierError::RETRY_AFTER) };
        let permit = self.breaker.acquire().ok_or_else(breaker_open)?;
        let _admitted = self.admitted.try_acquire().map_err(|_| CarrierError::TRANSIENT)?;
        let max_queue_time = MAX_QUEUE_TIME.min(self.call_timeout / 4);
        let Ok(Ok(_running)) = timeout(max_queue_time, self.running.acquire()).await else {
            return Err(CarrierError::TRANSIENT);
        };
        // The breaker may have opened while this call waited for its turn.
        if !permit.is_valid() {
            return Err(breaker_open());
        }
        let assessment = match self.http.exchange(request, MAX_RESPONSE_BYTES, deadline).await {
            Exchange::Response(response) => {
                let assessment = assess(&response);
                if assessment.fault == Fault::Carrier {
                    self.warn_throttled("the carrier failed", &format!("HTTP status {}", response.status));
                }
                assessment
            }
            Exchange::NotSent(cause) => {
                self.warn_throttled("the carrier cannot be reached", &cause);
                Assessment::carrier_fault(CarrierError::TRANSIENT)
            }
            Exchange::NoResponse(cause) => {
                self.warn_throttled("the carrier did not answer", &cause);
                Assessment::carrier_fault(CarrierError::Unknown)
            }
        };
        match assessment.fault {
            Fault::Carrier => permit.on_failure(),
            Fault::None => permit.on_success(),
            Fault::Configuration(remedy) => {
                permit.on_success();
                if self.should_log(remedy) {
                    tracing::error!(carrier = %self.carrier, place = self.host, "{remedy}");
                }
            }
        }
        assessment.outcome
    }

    fn warn_throttled(&self, problem: &'static str, cause: &str) {
        if self.should_log(problem) {
            tracing::warn!(carrier = %self.carrier, place = self.host, cause, "{problem}");
        }
    }

    fn should_log(&self, problem: &'static str) -> bool {
        let now = Instant::now();
        let mut last_warnings = self.last_warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due =
            last_warnings.get(problem).is_none_or(|last| now.duration_since(*last) >= WARNING_INTERVAL);
        if is_due {
            last_warnings.insert(problem, now);
        }
        is_due
    }
}
