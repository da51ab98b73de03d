//! What one call uses.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::consumer::Consumer;
use super::shares::{Permit, Shares};
use crate::error::Result;

/// Requests and responses up to this size are not counted: all calls together have a few MiB of them.
const UNCOUNTED_BYTES: usize = 16 << 10;

/// One call in progress. It is shared by the middleware, the response body and the tasks that work for the call, and the
/// last of them gives everything back.
#[derive(Debug)]
pub struct CallPermit {
    consumer: Consumer,
    /// `None` once the call is a stream.
    call: Mutex<Option<Permit>>,
    stream: OnceLock<[Permit; 2]>,
    carrier_call: OnceLock<Permit>,
    memory: Arc<Shares>,
    bytes: Mutex<Bytes>,
}

#[derive(Debug, Default)]
struct Bytes {
    total: usize,
    permit: Option<Permit>,
}

impl CallPermit {
    pub(super) fn new(call: Permit, consumer: Consumer, memory: Arc<Shares>) -> Self {
        Self {
            consumer,
            call: Mutex::new(Some(call)),
            stream: OnceLock::new(),
            carrier_call: OnceLock::new(),
            memory,
            bytes: Mutex::default(),
        }
    }

    /// Counts bytes of the request or of the response, until the end of the call.
    ///
    /// # Errors
    /// `Overloaded`; the bytes must then not be kept.
    pub fn add_bytes(&self, bytes: usize) -> Result<()> {
        let mut counted = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let total = counted.total + bytes;
        match &mut counted.permit {
            None if total <= UNCOUNTED_BYTES => {}
            None => counted.permit = Some(self.memory.acquire(&self.consumer, total)?),
            Some(permit) => permit.grow(bytes)?,
        }
        counted.total = total;
        Ok(())
    }

    /// Counts the call among the streams instead of the calls, until its end: it waits most of its time.
    ///
    /// # Errors
    /// `Overloaded`; it then remains a call.
    pub(super) fn become_stream(
        &self,
        streams: &Arc<Shares>,
        streams_of_keys: &Arc<Shares>,
        key: &Consumer,
    ) -> Result<()> {
        if self.stream.get().is_none() {
            let permits = [streams_of_keys.acquire(key, 1)?, streams.acquire(&self.consumer, 1)?];
            // A call is one task until it is a stream, so that nothing else sets it.
            let _ = self.stream.set(permits);
            self.call.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(())
    }

    /// Counts the call among those that wait for a carrier, until its end.
    ///
    /// # Errors
    /// `Overloaded`.
    pub(super) fn begin_carrier_call(&self, carrier_calls: &Arc<Shares>) -> Result<()> {
        if self.carrier_call.get().is_none() {
            let permit = carrier_calls.acquire(&self.consumer, 1)?;
            // A call is one task until it has this permit, so that nothing else sets it.
            let _ = self.carrier_call.set(permit);
        }
        Ok(())
    }
}
