//! Who runs on which processors: callers that take processors from the service would measure themselves.

use std::fmt;

/// Processors of the service (and its database), and of the callers. Empty where there is but one, or no say in it.
#[derive(Debug)]
pub struct Shares {
    service: Vec<usize>,
    callers: Vec<usize>,
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.callers.is_empty() {
            return f.write_str("service, database and callers share all processors");
        }
        write!(f, "service and database on processors {:?}, callers on {:?}", self.service, self.callers)
    }
}

impl Shares {
    /// From here on this thread, and what it starts, runs where the service is to run.
    pub fn take_service(&self) {
        settle(&self.service);
    }

    /// The same for the callers.
    pub fn take_callers(&self) {
        settle(&self.callers);
    }
}

/// One processor for the callers, the others for the service.
#[cfg(target_os = "linux")]
pub fn divide() -> Shares {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    let mut service: Vec<_> =
        (0..nix::sched::CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let callers = if service.len() > 1 { service.pop().into_iter().collect() } else { Vec::new() };
    Shares { service, callers }
}

#[cfg(not(target_os = "linux"))]
pub fn divide() -> Shares {
    Shares { service: Vec::new(), callers: Vec::new() }
}

#[cfg(target_os = "linux")]
fn settle(cpus: &[usize]) {
    if cpus.is_empty() {
        return;
    }
    let mut set = nix::sched::CpuSet::new();
    for cpu in cpus {
        set.set(*cpu).unwrap();
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).unwrap();
}

#[cfg(not(target_os = "linux"))]
fn settle(_cpus: &[usize]) {}
