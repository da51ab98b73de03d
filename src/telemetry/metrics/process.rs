//! Metrics of the process, under the standard names of Prometheus clients. A value that the operating system does not
//! provide is omitted.

use std::fmt;

use chrono::{DateTime, Utc};
use nix::sys::resource::{Resource, getrlimit};
use nix::time::{ClockId, clock_gettime};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::sampled::write;

#[derive(Debug)]
pub(super) struct ProcessCollector {
    /// Seconds since 1970.
    started: i64,
}

impl ProcessCollector {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { started: now.timestamp() }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let started = ConstGauge::new(self.started);
        write(&mut encoder, "process_start_time_seconds", "When the service was assembled", &started)?;
        if let Ok(used) = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID) {
            let used = ConstCounter::new(std::time::Duration::from(used).as_secs_f64());
            write(&mut encoder, "process_cpu_seconds", "Processor time used", &used)?;
        }
        if let Some(bytes) = resident_bytes() {
            let bytes = ConstGauge::new(bytes);
            write(&mut encoder, "process_resident_memory_bytes", "Memory in use", &bytes)?;
        }
        if let Some(open) = open_files() {
            write(&mut encoder, "process_open_fds", "Open files and sockets", &ConstGauge::new(open))?;
        }
        if let Ok((most, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            write(&mut encoder, "process_max_fds", "Most open files and sockets", &ConstGauge::new(most))?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1_024)
}

fn open_files() -> Option<u64> {
    let folder = std::fs::read_dir("/proc/self/fd").ok()?;
    // One of the descriptors is the folder itself, which is open while it is read.
    u64::try_from(folder.count().saturating_sub(1)).ok()
}
