//! Orderly shutdown. The first SIGTERM or SIGINT starts a drain; the second one ends the process.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Durations of the steps of a drain.
#[derive(Debug, Clone, Copy)]
pub struct DrainLimits {
    /// How long new calls are accepted after health reports `NOT_SERVING`, so that load balancers notice first.
    pub grace: Duration,
    /// How long calls in progress may take after that before they are cut off.
    pub finish: Duration,
}

/// The two moments of a shutdown at which tasks stop.
#[derive(Debug, Default)]
pub struct Shutdown {
    /// Cancelled when no new call is accepted any more.
    pub drain: CancellationToken,
    /// Cancelled when the last call has ended.
    pub end: CancellationToken,
}

/// Receives the signals that stop the process.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Installs handlers for both signals.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs `work` to completion. The first signal cancels `stop`; the second one drops `work` and returns `None`.
    pub async fn run_until_stopped<T>(
        mut self,
        stop: CancellationToken,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return Some(done),
            () = self.next() => {
                tracing::info!("received a stop signal: draining");
                stop.cancel();
            }
        }
        tokio::select! {
            done = &mut work => Some(done),
            () = self.next() => {
                tracing::warn!("received a second stop signal: ending without a drain");
                None
            }
        }
    }
}
