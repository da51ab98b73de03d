//! Supervises the server's background tasks.
//!
//! Every task has a name and a stop token. A task has failed if it returns an error, panics, or ends before its token is
//! cancelled. The first failure makes the server drain, and the process ends with exit code 1: a server without, for example,
//! its cleanup task must not go on as if nothing had happened.

use std::collections::HashMap;
use std::future::pending;
use std::panic::resume_unwind;

use tokio::task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::ServeError;

/// The running tasks. Dropping it aborts them.
#[derive(Default)]
pub(super) struct Supervisor {
    tasks: JoinSet<Result<(), ServeError>>,
    running: HashMap<Id, Task>,
    failure: Option<ServeError>,
}

struct Task {
    name: &'static str,
    stop: CancellationToken,
    abort: AbortHandle,
}

impl Supervisor {
    /// Starts a task that must run until `stop` is cancelled.
    pub(super) fn spawn<E: Into<ServeError>>(
        &mut self,
        name: &'static str,
        stop: &CancellationToken,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let abort = self.tasks.spawn(async move { task.await.map_err(Into::into) });
        self.running.insert(abort.id(), Task { name, stop: stop.clone(), abort });
    }

    /// Supervises a task that is already running.
    pub(super) fn adopt(&mut self, name: &'static str, stop: &CancellationToken, task: JoinHandle<()>) {
        self.spawn(name, stop, async move {
            match task.await {
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                _ => Ok::<_, ServeError>(()),
            }
        });
    }

    /// Waits until a task has failed; never returns if none does.
    pub(super) async fn failed(&mut self) {
        while self.failure.is_none() {
            match self.tasks.join_next_with_id().await {
                Some(ended) => self.record(ended),
                None => pending().await,
            }
        }
    }

    /// Waits for the tasks whose stop token is cancelled, and aborts those that are still running at the deadline.
    pub(super) async fn join_stopped(&mut self, deadline: Instant) {
        while self.running.values().any(|task| task.stop.is_cancelled()) {
            match timeout_at(deadline, self.tasks.join_next_with_id()).await {
                Ok(Some(ended)) => self.record(ended),
                Ok(None) => return,
                Err(_) => self.abort_stopped(),
            }
        }
    }

    fn abort_stopped(&mut self) {
        self.running.retain(|_, Task { name, stop, abort }| {
            if stop.is_cancelled() {
                tracing::warn!(task = *name, "background task was aborted at the end of the drain");
                abort.abort();
            }
            !stop.is_cancelled()
        });
    }

    /// The first failure.
    pub(super) fn into_result(self) -> Result<(), ServeError> {
        self.failure.map_or(Ok(()), Err)
    }

    fn record(&mut self, ended: Result<(Id, Result<(), ServeError>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        // An aborted task is no longer in the map.
        let Some(Task { name, stop, .. }) = self.running.remove(&id) else { return };
        let failure = match ended {
            Ok((_, Ok(()))) if stop.is_cancelled() => return,
            Ok((_, Ok(()))) => ServeError::TaskEnded(name),
            Ok((_, Err(error))) => error,
            Err(_) => ServeError::TaskPanicked(name),
        };
        tracing::error!(task = name, error = %failure, "background task failed: shutting down");
        self.failure.get_or_insert(failure);
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout};
    use tokio_util::sync::CancellationToken;

    use super::super::infallible;
    use super::{ServeError, Supervisor};
    use crate::error::Error;

    /// How long the tests wait for a task to stop.
    const PATIENCE: Duration = Duration::from_millis(200);

    fn deadline() -> Instant {
        Instant::now() + PATIENCE
    }

    #[tokio::test]
    async fn a_task_that_ends_early_panics_or_fails_is_named_by_the_result() {
        let stop = CancellationToken::new();
        for (how, text) in [
            ("ends", "background task `a` ended unexpectedly"),
            ("panics", "background task `a` panicked"),
            ("fails", "internal error"),
        ] {
            let mut tasks = Supervisor::default();
            let running = stop.clone();
            tasks.spawn("b", &stop, infallible(running.cancelled_owned()));
            match how {
                "ends" => tasks.spawn("a", &stop, infallible(ready(()))),
                "panics" => tasks.adopt("a", &stop, tokio::spawn(async { panic!("as the test asked") })),
                _ => tasks.spawn("a", &stop, ready(Err(Error::Internal))),
            }
            tasks.failed().await;
            let failure = tasks.into_result().expect_err(how);
            assert_eq!(failure.to_string(), text);
        }
    }

    #[tokio::test]
    async fn a_task_that_is_told_to_stop_does_not_fail_by_ending() {
        let stop = CancellationToken::new();
        let mut tasks = Supervisor::default();
        let running = stop.clone();
        tasks.spawn("a", &stop, infallible(running.cancelled_owned()));
        assert!(timeout(Duration::from_millis(50), tasks.failed()).await.is_err(), "it runs");
        stop.cancel();
        tasks.join_stopped(deadline()).await;
        assert!(tasks.into_result().is_ok());
    }

    #[tokio::test]
    async fn a_panic_during_the_drain_is_a_failure() {
        let stop = CancellationToken::new();
        let mut tasks = Supervisor::default();
        let running = stop.clone();
        let panics_when_stopped = async move {
            running.cancelled().await;
            panic!("as the test asked")
        };
        tasks.spawn("a", &stop, infallible(panics_when_stopped));
        stop.cancel();
        tasks.join_stopped(deadline()).await;
        assert!(matches!(tasks.into_result(), Err(ServeError::TaskPanicked("a"))));
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_aborted_at_the_deadline_and_others_go_on() {
        let (stop, later) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = Supervisor::default();
        tasks.spawn("slow", &stop, infallible(sleep(Duration::from_hours(1))));
        let running = later.clone();
        tasks.spawn("other", &later, infallible(running.cancelled_owned()));
        stop.cancel();
        let started = Instant::now();
        tasks.join_stopped(deadline()).await;
        assert!(started.elapsed() >= PATIENCE);
        assert_eq!(tasks.running.len(), 1);
        later.cancel();
        tasks.join_stopped(deadline()).await;
        assert!(tasks.into_result().is_ok());
    }
}
