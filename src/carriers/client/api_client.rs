//! One place that we call: so many calls at once, so many waiting, a breaker before them all, and the words for the
//! operator where the fault is in our own set-up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Request;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::carriers::client::circuit_breaker::Breaker;
use crate::carriers::client::http::{Answer, Exchange, Http};
use crate::carriers::{CarrierError, CarrierSettings};
use crate::domain::CarrierKind;

/// The longest that a call waits for its turn: more is better told than waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How often the same trouble is told to the operator. Each call tells its caller.
const REPEATED_AFTER: Duration = Duration::from_mins(1);
/// The longest answer that is read, in bytes: one record of a message, with room.
pub(in crate::carriers) const ANSWER_LIMIT: usize = 256 << 10;

/// What an answer comes to, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::carriers) struct Verdict<T> {
    /// For the caller.
    pub(in crate::carriers) outcome: Result<T, CarrierError>,
    /// For the breaker and the log.
    pub(in crate::carriers) blame: Blame,
}

/// Who has to mend what an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::carriers) enum Blame {
    /// Nobody: the carrier works, whatever it said of this call.
    Nobody,
    /// The carrier: it is down or broken.
    CarrierKind,
    /// Our operator, by these words.
    SetUp(&'static str),
}

impl<T> Verdict<T> {
    pub(in crate::carriers) const fn of(outcome: Result<T, CarrierError>) -> Self {
        Self { outcome, blame: Blame::Nobody }
    }

    pub(in crate::carriers) const fn fault(failure: CarrierError) -> Self {
        Self { outcome: Err(failure), blame: Blame::CarrierKind }
    }

    pub(in crate::carriers) const fn set_up(remedy: &'static str) -> Self {
        Self { outcome: Err(CarrierError::REFUSED), blame: Blame::SetUp(remedy) }
    }
}

/// A place that we call: a carrier's API, or one Mac.
pub(in crate::carriers) struct Endpoint {
    carrier: CarrierKind,
    /// Host and port, for the log.
    place: String,
    http: Http,
    breaker: Breaker,
    /// Calls under way.
    places: Semaphore,
    /// Those, and as many again that wait.
    queue: Semaphore,
    time_out: Duration,
    complaints: Mutex<HashMap<&'static str, Instant>>,
}

impl Endpoint {
    pub(in crate::carriers) fn new(
        carrier: CarrierKind,
        url: &Url,
        http: Http,
        settings: &CarrierSettings,
        time_out: Duration,
        changed: Arc<watch::Sender<()>>,
    ) -> Self {
        let port = url.port_or_known_default().unwrap_or_default();
        let place = format!("{}:{port}", url.host_str().unwrap_or_default());
        Self {
            carrier,
            http,
            breaker: Breaker::new(carrier, &place, settings.breaker, changed),
            place,
            places: Semaphore::new(settings.calls),
            queue: Semaphore::new(2 * settings.calls),
            time_out,
            complaints: Mutex::default(),
        }
    }

    pub(in crate::carriers) fn is_cut_off(&self) -> bool {
        self.breaker.is_cut_off()
    }

    /// Makes one request, when its turn comes, and judges the answer. Done within the line time-out.
    pub(in crate::carriers) async fn call<T>(
        &self,
        request: Request,
        judge: impl FnOnce(&Answer) -> Verdict<T>,
    ) -> Result<T, CarrierError> {
        let give_up = Instant::now() + self.time_out;
        let cut_off =
            || CarrierError::Passing { retry_after: self.breaker.pause().max(CarrierError::RETRY_AFTER) };
        let leave = self.breaker.enter().ok_or_else(cut_off)?;
        let _queued = self.queue.try_acquire().map_err(|_| CarrierError::PASSING)?;
        let wait = LONGEST_WAIT.min(self.time_out / 4);
        let Ok(Ok(_place)) = timeout(wait, self.places.acquire()).await else {
            return Err(CarrierError::PASSING);
        };
        if self.breaker.is_open() {
            return Err(cut_off());
        }
        let verdict = match self.http.exchange(request, ANSWER_LIMIT, give_up).await {
            Exchange::Answered(answer) => {
                let verdict = judge(&answer);
                if verdict.blame == Blame::CarrierKind {
                    self.complain("the carrier failed", &format!("HTTP status {}", answer.status));
                }
                verdict
            }
            Exchange::NotSent(cause) => {
                self.complain("the carrier cannot be reached", &cause);
                Verdict::fault(CarrierError::PASSING)
            }
            Exchange::NoAnswer(cause) => {
                self.complain("the carrier did not answer", &cause);
                Verdict::fault(CarrierError::Unknown)
            }
        };
        match verdict.blame {
            Blame::CarrierKind => leave.found_a_fault(),
            Blame::Nobody => leave.was_answered(),
            Blame::SetUp(remedy) => {
                leave.was_answered();
                if self.is_news(remedy) {
                    tracing::error!(carrier = %self.carrier, place = self.place, "{remedy}");
                }
            }
        }
        verdict.outcome
    }

    fn complain(&self, what: &'static str, cause: &str) {
        if self.is_news(what) {
            tracing::warn!(carrier = %self.carrier, place = self.place, cause, "{what}");
        }
    }

    fn is_news(&self, what: &'static str) -> bool {
        let now = Instant::now();
        let mut told = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = told.get(what).is_none_or(|at| now.duration_since(*at) >= REPEATED_AFTER);
        if is_news {
            told.insert(what, now);
        }
        is_news
    }
}
