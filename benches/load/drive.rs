//! Callers that make calls as fast as they are answered (closed loop), or at a rate of their own (open loop).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::Result;
use crate::scenes::{Scene, World};

/// How callers behave.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub callers: usize,
    pub duration: Duration,
    /// Calls per second of all callers together; `None` = the next when the last is answered.
    pub rate: Option<f64>,
}

/// What they saw.
#[derive(Debug, Clone)]
pub struct Seen {
    pub calls: usize,
    pub seconds: f64,
    /// From when a call was due until it was answered, in microseconds, sorted.
    latencies: Vec<u32>,
}

impl Seen {
    pub fn per_second(&self) -> f64 {
        count(self.calls) / self.seconds
    }

    /// A latency in milliseconds that this share of the calls kept below.
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

/// Makes calls of one scene for a while. Any call that fails ends the run: a figure over errors says nothing.
pub async fn drive(world: &Arc<World>, channels: &[Channel], scene: Scene, pace: Pace) -> Result<Seen> {
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..pace.callers {
        let channel = channels[caller % channels.len()].clone();
        let (world, next) = (world.clone(), next.clone());
        callers.spawn(async move {
            let mut client = scene.client(&world, channel);
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let mut due = Instant::now();
                if let Some(rate) = pace.rate {
                    #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
                    let at = begun + Duration::from_secs_f64(number as f64 / rate);
                    tokio::time::sleep_until(at.into()).await;
                    due = at;
                }
                if begun.elapsed() >= pace.duration || scene.is_used_up(&world, number) {
                    return Ok::<_, crate::Failure>(latencies);
                }
                client.call(number).await?;
                latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(caller) = callers.join_next().await {
        latencies.extend(caller??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Seen { calls: latencies.len(), seconds, latencies })
}
