//! Stopping in order. The first SIGTERM or SIGINT starts a drain, the second one ends the process.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long each step of a drain may take.
#[derive(Debug, Clone, Copy)]
pub struct DrainLimits {
    /// How long calls are still taken after health says `NOT_SERVING`, so that balancers notice first.
    pub grace: Duration,
    /// How long calls under way have after that, before they are cut.
    pub finish: Duration,
}

/// Waits for the process to be told to stop.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes over both signals from here on.
    ///
    /// # Errors
    /// Where the system does not let us.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns when the next signal came.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs work until it is done, passing on the first signal by way of `stop` and giving up at the second one.
    pub async fn govern<T>(mut self, stop: CancellationToken, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return Some(done),
            () = self.next() => {
                tracing::info!("told to stop: draining");
                stop.cancel();
            }
        }
        tokio::select! {
            done = &mut work => Some(done),
            () = self.next() => {
                tracing::warn!("told to stop again: ending without a drain");
                None
            }
        }
    }
}
