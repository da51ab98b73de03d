//! Load: callers that wait for their answers (closed loop), and calls that come when they come (open loop).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::overload::mix::{Callers, Mix};
use crate::overload::service::{Service, WORTH};

/// Connections, each of which takes 256 calls at once: enough for all that can be under way.
const CONNECTIONS: usize = 32;
/// Callers of the closed loop: more than the service has sessions with its database.
const CALLERS: usize = 64;
/// How often calls of the open loop are let go.
const TICK: Duration = Duration::from_millis(2);

/// What became of calls.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub good: u64,
    /// Refused at once: `OVERLOADED`.
    pub refused: u64,
    /// Not answered while the answer was worth something.
    pub late: u64,
    pub other: u64,
    pub others: BTreeMap<String, u64>,
    /// Refusals that do not say why, or when to come again: one of them.
    pub bare: Option<Status>,
    pub lasted: Duration,
    /// The longest that a call of the open loop left after its time.
    pub latest: Duration,
    good_times: Vec<Duration>,
    refused_times: Vec<Duration>,
}

impl Tally {
    pub fn note(&mut self, outcome: Result<(), Status>, took: Duration) {
        let (code, status) = match outcome {
            Ok(()) => (Code::Ok, None),
            Err(status) => (status.code(), Some(status)),
        };
        match code {
            Code::Ok if took <= WORTH => {
                self.good += 1;
                self.good_times.push(took);
            }
            Code::ResourceExhausted => {
                self.bare = self.bare.take().or(status.filter(|status| !is_whole(status)));
                self.refused += 1;
                self.refused_times.push(took);
            }
            // tonic's client gives up with CANCELLED where it does so before the service.
            Code::Ok | Code::DeadlineExceeded | Code::Cancelled => self.late += 1,
            other => {
                self.other += 1;
                *self.others.entry(format!("{other:?}")).or_default() += 1;
            }
        }
    }

    /// Good answers.
    pub fn per_second(&self) -> f64 {
        count(self.good) / self.lasted.as_secs_f64()
    }

    /// How many of the calls that were asked for were made.
    pub fn offered_share(&self, rate: f64, lasting: Duration) -> f64 {
        count(self.good + self.refused + self.late + self.other) / (rate * lasting.as_secs_f64())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { good, refused, late, other, .. } = self;
        write!(
            f,
            "{good} good (half within {:.1?}, 99 % within {:.1?}), {refused} refused (half within {:.1?}, 99 % \
             within {:.1?}), {late} late, {other} other",
            quantile(&self.good_times, 0.5),
            quantile(&self.good_times, 0.99),
            quantile(&self.refused_times, 0.5),
            quantile(&self.refused_times, 0.99),
        )
    }
}

/// Whether a refusal is `OVERLOADED` and says when to come again.
fn is_whole(status: &Status) -> bool {
    let Ok(details) = status.check_error_details() else { return false };
    details.error_info().is_some_and(|info| info.reason == "OVERLOADED")
        && details.retry_info().is_some_and(|retry| retry.retry_delay.is_some_and(|after| !after.is_zero()))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

pub fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

pub struct Load {
    mix: Rc<Mix>,
    connections: Vec<Callers>,
}

impl Load {
    /// Callers who wait so long for an answer.
    pub fn new(service: &Service, mix: Mix, patience: Duration) -> Self {
        let connection = || {
            let channel = service.channel(patience);
            Callers { admin: service.admin(channel.clone()), router: service.router(channel) }
        };
        Self { mix: Rc::new(mix), connections: (0..CONNECTIONS).map(|_| connection()).collect() }
    }

    fn callers(&self, n: usize) -> Callers {
        self.connections[n % CONNECTIONS].clone()
    }

    /// Callers that call again as soon as they have an answer.
    pub async fn closed(&self, lasting: Duration) -> Tally {
        let tally = Rc::new(RefCell::new(Tally::default()));
        let end = Instant::now() + lasting;
        let calling = LocalSet::new();
        for n in 0..CALLERS {
            let (mix, callers, tally) = (self.mix.clone(), self.callers(n), tally.clone());
            calling.spawn_local(async move {
                while Instant::now() < end {
                    let begun = Instant::now();
                    let outcome = mix.call(&callers).await;
                    tally.borrow_mut().note(outcome, begun.elapsed());
                }
            });
        }
        calling.await;
        let mut tally = tally.take();
        tally.lasted = lasting;
        tally
    }

    /// Calls at a rate, whatever becomes of those before; waits for the last of them. A call's time counts from when it
    /// was due.
    pub async fn open(&self, rate: f64, lasting: Duration) -> Tally {
        let tally = Rc::new(RefCell::new(Tally::default()));
        let calling = LocalSet::new();
        let begun = Instant::now();
        calling
            .run_until(async {
                let mut made = 0_usize;
                while begun.elapsed() < lasting {
                    let now = begun.elapsed();
                    let due = |n: usize| Duration::from_secs_f64(count(n as u64) / rate);
                    while due(made) <= now {
                        let late = now.saturating_sub(due(made));
                        let (mix, callers, tally) = (self.mix.clone(), self.callers(made), tally.clone());
                        let at = begun + due(made);
                        let latest = tally.borrow().latest.max(late);
                        tally.borrow_mut().latest = latest;
                        tokio::task::spawn_local(async move {
                            let outcome = mix.call(&callers).await;
                            tally.borrow_mut().note(outcome, at.elapsed());
                        });
                        made += 1;
                    }
                    sleep_until(Instant::now() + TICK).await;
                }
            })
            .await;
        calling.await;
        let mut tally = tally.take();
        tally.lasted = lasting;
        tally
    }

    /// What one caller waits for whom nobody disturbs: the median.
    pub async fn alone(&self, lasting: Duration) -> Duration {
        let (end, callers) = (Instant::now() + lasting, self.callers(0));
        let mut times = Vec::new();
        while Instant::now() < end {
            let begun = Instant::now();
            self.mix.glance(&callers).await.unwrap();
            times.push(begun.elapsed());
            sleep(Duration::from_millis(5)).await;
        }
        quantile(&times, 0.5)
    }

    /// How long it takes until one caller waits at most so long in half of its calls; `None` where it does not happen.
    pub async fn recovers(&self, wait: Duration, give_up: Duration) -> Option<Duration> {
        let begun = Instant::now();
        while begun.elapsed() < give_up {
            let callers = self.callers(0);
            let mut times = Vec::new();
            for _ in 0..15 {
                let one = Instant::now();
                let is_good = self.mix.glance(&callers).await.is_ok();
                times.push(if is_good { one.elapsed() } else { Duration::MAX });
                sleep(Duration::from_millis(5)).await;
            }
            if quantile(&times, 0.5) <= wait {
                return Some(begun.elapsed());
            }
        }
        None
    }
}
