//! Load generator: callers that start the next call after the last response (closed loop), or at a fixed rate (open loop).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::task::JoinSet;

use crate::scenarios::{Scenario, World};
use crate::{Failure, Result, channel};

/// The number and rate of callers.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub callers: usize,
    /// Number of connections that the callers share.
    pub connections: usize,
    pub duration: Duration,
    /// Calls per second of all callers together; `None` = closed loop.
    pub rate: Option<f64>,
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Measured {
    pub calls: usize,
    pub seconds: f64,
    /// Time from the planned start of each call to its response, in microseconds, sorted.
    latencies: Vec<u32>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        count(self.calls) / self.seconds
    }

    /// A percentile of the latency, in milliseconds. `share` is between 0 and 1.
    pub fn percentile(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let index = (count(self.latencies.len()) * share) as usize;
        f64::from(self.latencies.get(index).or(self.latencies.last()).copied().unwrap_or(0)) / 1_000.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
pub fn count(number: usize) -> f64 {
    number as f64
}

/// State that the callers of all threads share.
struct Shared {
    world: Arc<World>,
    scenario: Scenario,
    pace: Pace,
    next: AtomicU64,
    begun: Instant,
}

/// Runs one scenario for the duration of `pace`. A failed call ends the run, since figures with errors are meaningless.
///
/// The callers run on two threads with one runtime each, like pgbench with `-j 2`: they share the machine with the service,
/// and one runtime for both threads costs 50 % more CPU time.
pub async fn drive(world: &Arc<World>, address: &str, scenario: Scenario, pace: Pace) -> Result<Measured> {
    let begun = Instant::now();
    let shared = Arc::new(Shared { world: world.clone(), scenario, pace, next: AtomicU64::new(0), begun });
    let threads = pace.connections.clamp(1, 2);
    let mut running = Vec::new();
    for thread in 0..threads {
        let (shared, address) = (shared.clone(), address.to_owned());
        let share = |whole: usize| whole / threads + usize::from(thread < whole % threads);
        let (callers, connections) = (share(pace.callers), share(pace.connections));
        running.push(thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(call(&shared, &address, callers, connections))
        }));
    }
    let joined = tokio::task::spawn_blocking(move || {
        let joined = running.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?);
        joined.collect::<Result<Vec<_>>>()
    });
    let mut latencies = joined.await??.concat();
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Measured { calls: latencies.len(), seconds, latencies })
}

/// Runs the callers of one thread.
async fn call(shared: &Arc<Shared>, address: &str, callers: usize, connections: usize) -> Result<Vec<u32>> {
    let channels = (0..connections).map(|_| channel(address)).collect::<Result<Vec<_>>>()?;
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let channel = channels[caller % channels.len()].clone();
        let shared = shared.clone();
        running.spawn(async move {
            let Shared { world, scenario, pace, next, begun } = &*shared;
            let mut client = scenario.client(world, channel);
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let mut due = Instant::now();
                if let Some(rate) = pace.rate {
                    #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
                    let at = *begun + Duration::from_secs_f64(number as f64 / rate);
                    tokio::time::sleep_until(at.into()).await;
                    due = at;
                }
                if begun.elapsed() >= pace.duration || scenario.is_used_up(world, number) {
                    return Ok::<_, Failure>(latencies);
                }
                client.call(number).await?;
                latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(caller) = running.join_next().await {
        latencies.extend(caller??);
    }
    Ok(latencies)
}
