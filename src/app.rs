//! The shared parts of the service, which handlers and use cases work with.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::admission::{ActionRate, Admission, inherit};
use crate::carriers::{CarrierRegistry, ConversationQueues, TypingLeases};
use crate::clock::{Clock, ClockSkew, TOLERATED_SKEW};
use crate::error::{Error, Result};
use crate::messaging::events::Cursors;
use crate::store::Database;
use crate::telemetry::metrics::Metrics;

#[derive(Debug, Clone, Copy)]
pub struct SendLimits {
    /// Maximum number of messages that an identity may send in any 24 hours; `None` = unlimited.
    pub per_day: Option<u32>,
    /// Maximum duration of a call to a carrier.
    pub line_time_out: Duration,
}

/// The parts of the service. Cheap to clone; all clones share the same parts.
#[derive(Clone)]
pub struct App {
    pub db: Database,
    /// The source of times and ids.
    pub clock: Arc<dyn Clock>,
    /// How far the machine's clock is ahead of the database's.
    pub skew: ClockSkew,
    pub admission: Admission,
    pub carriers: Arc<CarrierRegistry>,
    /// Serializes the carrier calls of each conversation.
    pub queues: Arc<ConversationQueues>,
    /// The typing indicators that are shown for a duration.
    pub typing: Arc<TypingLeases>,
    pub limits: SendLimits,
    /// Limits how often an identity may reach phones. Each use case that does counts its action after all checks.
    pub actions: Arc<ActionRate>,
    /// Seals and opens the cursors of the event log.
    pub cursors: Cursors,
    /// Wakes the task that sends replies of the router line.
    pub router_replies: Arc<Notify>,
    pub metrics: Metrics,
    /// Work that is detached from its caller. A drain waits for it.
    pub tasks: TaskTracker,
}

impl App {
    /// The time by the database's clock, as well as this process knows it.
    #[must_use]
    pub fn database_now(&self) -> DateTime<Utc> {
        // A larger skew is corrected by the clock itself.
        let skew = Some(self.skew.get()).filter(|skew| skew.abs() <= TOLERATED_SKEW);
        self.clock.now() - skew.unwrap_or_default()
    }

    /// Runs work in a task that continues if the caller disconnects, and then still counts as the call. For work that must
    /// not stop halfway: once a carrier has been called, the outcome must be recorded.
    ///
    /// # Errors
    /// Those of the work; `Internal` if it panics.
    pub async fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.tasks.spawn(inherit(work).in_current_span()).await.unwrap_or_else(|error| {
            tracing::error!(error = %error, "task ended early");
            Err(Error::Internal)
        })
    }
}
