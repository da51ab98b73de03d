//! Admission control: who may use how much of what all organizations share.
//!
//! A process has few places for many organizations. Each shared resource is therefore limited in total and per
//! [`Consumer`], and a limit counts as long as the resource is in use: until the last byte of a response is sent, and
//! until work has ended that continues without its caller. docs/reliability.md describes what a client can observe.
//!
//! | Resource | Limit | Beyond it |
//! | --- | --- | --- |
//! | calls in progress | [`Admission::calls`] | refused with `OVERLOADED` |
//! | calls that wait for a carrier or for their conversation | [`Admission::carrier_calls`], apart from the former | refused with `OVERLOADED` |
//! | streams of events, and calls that wait for an event | [`Admission::streams`], and 100 for each key | refused with `OVERLOADED` |
//! | bytes of requests and responses in memory | [`Admission::memory`] | refused with `OVERLOADED` |
//! | typing indicators that are renewed | `carriers::TypingLeases` | refused with `OVERLOADED` |
//! | sessions of the database | [`FairSemaphore`] of the pool in `store::pool` | wait, at most half of the sessions each |
//! | requests to a carrier | [`FairSemaphore`] of its client in `carriers::client` | wait for a short time |
//! | actions of one identity on phones | [`ActionRate`] | refused with `RATE_LIMITED` |
//!
//! [`Shares`] refuses at once, and the consumer that uses most is refused first. [`FairSemaphore`] lets callers wait, and
//! serves the consumer next that uses least.
//!
//! [`scope()`] states for whom work is done; it is set once per call, by the middleware. A task that is spawned for a
//! caller is wrapped in [`inherit()`], so that it counts for the same consumer and keeps the permit of the call.

mod action_rate;
mod call_permit;
mod consumer;
mod context;
mod fair_semaphore;
mod shares;

pub use action_rate::ActionRate;
pub use call_permit::CallPermit;
pub use consumer::Consumer;
pub use context::{current_consumer, inherit, scope};
pub use fair_semaphore::{FairPermit, FairSemaphore};
pub use shares::{Permit, RETRY_AFTER, Share, Shares};

use std::sync::Arc;
use std::time::Duration;

use self::context::current_call;
use crate::domain::ApiKeyId;
use crate::error::Result;

/// Maximum number of streams with one API key: many times what the software of one agent needs.
const MAX_STREAMS_PER_KEY: usize = 100;

/// Sizes of the limits of one process. Each is a setting, see `config::server`.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// Maximum number of concurrent calls, without health and reflection.
    pub calls: usize,
    /// Maximum number of streams of events, and of calls that wait for an event.
    pub streams: usize,
    /// Maximum size of the requests and responses in memory, in bytes.
    pub memory: usize,
    /// The part of each limit that one organization may use.
    pub share: Share,
    /// How long calls of an organization may wait for a database session before its new calls are rejected.
    pub queue_timeout: Duration,
}

/// The limits of calls. Cheap to clone; all clones share the same limits.
#[derive(Debug, Clone)]
pub struct Admission {
    pub calls: Arc<Shares>,
    /// Half of the calls, so that calls which only read always have room.
    pub carrier_calls: Arc<Shares>,
    pub streams: Arc<Shares>,
    streams_of_keys: Arc<Shares>,
    pub memory: Arc<Shares>,
}

impl Admission {
    #[must_use]
    pub fn new(limits: AdmissionLimits) -> Self {
        let AdmissionLimits { calls, streams, memory, share, .. } = limits;
        Self {
            calls: Shares::new(calls, share),
            carrier_calls: Shares::new(calls.div_ceil(2), share),
            streams: Shares::new(streams, share),
            streams_of_keys: Shares::of_each(MAX_STREAMS_PER_KEY),
            memory: Shares::new(memory, share),
        }
    }

    /// Counts a call until the permit is dropped.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn begin_call(&self, consumer: &Consumer) -> Result<CallPermit> {
        let call = self.calls.acquire(consumer, 1)?;
        Ok(CallPermit::new(call, consumer.clone(), self.memory.clone()))
    }

    /// Counts the current call among those that wait for a carrier or for their conversation, until its end. Work outside
    /// of calls is bounded by its own limits.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn begin_carrier_call(&self) -> Result<()> {
        current_call().map_or(Ok(()), |call| call.begin_carrier_call(&self.carrier_calls))
    }

    /// Counts the current call among the streams instead of the calls, until its end.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn begin_stream(&self, key_id: ApiKeyId) -> Result<()> {
        let key = Consumer::Key(key_id);
        current_call().map_or(Ok(()), |call| call.become_stream(&self.streams, &self.streams_of_keys, &key))
    }
}
