//! The client of one API: bounds on concurrency, queue time and call time, divided fairly among organizations; circuit
//! breakers; and log messages for the operator.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Request;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use url::Url;

use super::assessment::{Assessment, Fault};
use super::call_class::CallClass;
use super::circuit_breaker::CircuitBreaker;
use super::http::{Exchange, HttpClient, HttpResponse};
use crate::admission::{Consumer, FairSemaphore, Share, Shares, current_consumer};
use crate::carriers::error::CarrierError;
use crate::carriers::settings::CarrierSettings;
use crate::domain::{CarrierKind, Thread};

/// Maximum time that a call waits for its turn. Callers prefer an early error, after which they can retry.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(2);
/// Minimum time between two log messages about the same problem. Every call reports the problem to its caller.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);
/// Maximum size of a response body, in bytes: one message record, with a margin. Lists are asked for in small pages.
pub(in crate::carriers) const MAX_RESPONSE_BYTES: usize = 256 << 10;

/// The client of one host: a carrier's API, or one Mac.
pub(in crate::carriers) struct ApiClient {
    carrier: CarrierKind,
    /// Host and port, for the log.
    host: String,
    http: HttpClient,
    /// One for each class of calls, in the order of [`CallClass::ALL`].
    breakers: [CircuitBreaker; CallClass::ALL.len()],
    /// One permit per call in progress.
    running: Arc<FairSemaphore>,
    /// One permit per call in progress or waiting.
    admitted: Arc<Shares>,
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
        share: Share,
        call_timeout: Duration,
        breakers_changed: &Arc<watch::Sender<()>>,
    ) -> Self {
        let port = url.port_or_known_default().unwrap_or_default();
        let host = format!("{}:{port}", url.host_str().unwrap_or_default());
        let breaker =
            |class| CircuitBreaker::new(carrier, class, &host, settings.breaker, breakers_changed.clone());
        Self {
            carrier,
            http,
            breakers: CallClass::ALL.map(breaker),
            running: FairSemaphore::new(settings.calls, share.of(settings.calls)),
            admitted: Shares::new(2 * settings.calls, share),
            host,
            call_timeout,
            last_warnings: Mutex::default(),
        }
    }

    /// Whether the breaker of any class of calls is open or half-open.
    pub(in crate::carriers) fn breaker_is_open(&self) -> bool {
        self.breakers.iter().any(CircuitBreaker::is_open)
    }

    /// Waits for a turn, sends one request, and assesses the response. Takes the carrier call timeout at most.
    pub(in crate::carriers) async fn call<T>(
        &self,
        consumer: Consumer,
        class: CallClass,
        request: Request,
        assess: impl FnOnce(&HttpResponse) -> Assessment<T>,
    ) -> Result<T, CarrierError> {
        let deadline = Instant::now() + self.call_timeout;
        let breaker = &self.breakers[class as usize];
        let breaker_open =
            || CarrierError::Transient { retry_after: breaker.pause().max(CarrierError::RETRY_AFTER) };
        let permit = breaker.acquire(&consumer).ok_or_else(breaker_open)?;
        let _admitted = self.admitted.acquire(&consumer, 1).map_err(|_| CarrierError::TRANSIENT)?;
        let max_queue_time = MAX_QUEUE_TIME.min(self.call_timeout / 4);
        let Ok(_running) = timeout(max_queue_time, self.running.acquire(&consumer)).await else {
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

/// For whom a call is made: the organization that owns the thread. Replies of the router line belong to no organization.
pub(in crate::carriers) fn consumer(thread: &Thread) -> Consumer {
    match &thread.owner {
        Some(owner) => Consumer::Organization(owner.organization_id.clone()),
        None => current_consumer(),
    }
}
