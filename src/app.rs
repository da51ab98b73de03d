//! What every handler works with.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::carriers::{CarrierRegistry, ConversationQueues};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::store::Database;
use crate::telemetry::metrics::Metrics;

/// What bounds a send.
#[derive(Debug, Clone, Copy)]
pub struct SendLimits {
    /// Messages that an identity may send in any 24 hours; `None` = as many as it likes.
    pub per_day: Option<u32>,
    /// How long a line may take before it is given up on.
    pub line_time_out: Duration,
}

/// The service's parts. Cheap to clone; every handler shares the same ones.
#[derive(Clone)]
pub struct App {
    /// State.
    pub db: Database,
    /// Times and ids.
    pub clock: Arc<dyn Clock>,
    /// What reaches the phones.
    pub carriers: Arc<CarrierRegistry>,
    /// The order of calls on each conversation.
    pub queues: Arc<ConversationQueues>,
    /// How much an identity may send, and how long a line may take.
    pub limits: SendLimits,
    /// What is counted.
    pub metrics: Metrics,
    /// Work that goes on when its caller has gone; a drain waits for it.
    pub tasks: TaskTracker,
}

impl App {
    /// Runs work to its end even if the caller hangs up meanwhile. For what must not stop half way: what reached a
    /// line is written down.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.tasks.spawn(work.in_current_span()).await.unwrap_or_else(|error| {
            tracing::error!(error = %error, "task ended early");
            Err(Error::Internal)
        })
    }
}
