//! Observes the service during the overload (health, memory) and the processor time of the callers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::overload::load::quantile;
use crate::overload::service::Service;
use crate::support::PATIENCE;

/// How often health is asked for, and memory looked at.
const HEALTH_ROUND: Duration = Duration::from_millis(50);
const MEMORY_ROUND: Duration = Duration::from_millis(250);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Something that goes on until it is ended.
pub struct Watch<T> {
    stop: Arc<AtomicBool>,
    watching: JoinHandle<T>,
}

impl<T: Send + 'static> Watch<T> {
    fn start(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        Self { stop, watching: thread::spawn(move || work(&stopped)) }
    }

    pub fn end(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.watching.join().unwrap()
    }
}

/// How long health took to say SERVING.
#[derive(Debug)]
pub struct Health {
    times: Vec<Duration>,
}

impl Health {
    /// Asks on a connection and a thread of its own.
    pub fn watch(service: &Service) -> Watch<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let guard = runtime.enter();
        let channel = service.channel(PATIENCE);
        drop(guard);
        Watch::start(move |stop| {
            let mut times = Vec::new();
            runtime.block_on(async {
                let mut client = HealthClient::new(channel);
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let answer =
                        client.check(HealthCheckRequest::default()).await.expect("an answer of health");
                    assert_eq!(answer.into_inner().status().as_str_name(), "SERVING");
                    times.push(begun.elapsed());
                    tokio::time::sleep(HEALTH_ROUND).await;
                }
            });
            Self { times }
        })
    }

    /// The longest that it took; `None` where it was never asked.
    pub fn longest(&self) -> Option<Duration> {
        self.times.iter().copied().max()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|share| quantile(&self.times, share));
        write!(
            f,
            "{} answers, half within {half:.1?}, 99 % within {most:.1?}, all within {all:.1?}",
            self.times.len()
        )
    }
}

/// How much memory the service's process had, in MiB, over time. The database's processes are its own.
#[derive(Debug)]
pub struct Memory {
    seen: Vec<f64>,
}

impl Memory {
    /// Now.
    pub fn of(service: &Service) -> f64 {
        resident(service.pid())
    }

    pub fn watch(service: &Service) -> Watch<Self> {
        let pid = service.pid();
        Watch::start(move |stop| {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                seen.push(resident(pid));
                thread::sleep(MEMORY_ROUND);
            }
            Self { seen }
        })
    }

    pub fn most(&self) -> f64 {
        self.seen.iter().copied().fold(0.0, f64::max)
    }

    /// How much more the second half took than the first, at most.
    pub fn growth(&self) -> f64 {
        let (first, second) = self.seen.split_at(self.seen.len() / 2);
        let most = |seen: &[f64]| seen.iter().copied().fold(0.0, f64::max);
        most(second) - most(first)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} MiB at most ({:+.0} in the second half)", self.most(), self.growth())
    }
}

/// Memory of a process, from `ps`, which every system has. Mebibytes.
fn resident(pid: u32) -> f64 {
    let output =
        std::process::Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output().unwrap();
    let kibibytes: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a running service");
    kibibytes * 1024.0 / MEBIBYTE
}

/// Processor time of this process so far.
pub fn cpu_time() -> Duration {
    let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let both = [used.user_time(), used.system_time()];
    both.iter()
        .map(|time| {
            Duration::new(
                u64::try_from(time.tv_sec()).unwrap(),
                u32::try_from(time.tv_usec()).unwrap() * 1_000,
            )
        })
        .sum()
}
