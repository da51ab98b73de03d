//! Noticing that the key of a stream no longer works.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::auth::{KeyCache, presented_key};
use crate::clock::Clock;
use crate::domain::KeyDigest;
use crate::error::Error;

/// Pause before another check after the database did not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The longest sleep until a key expires: the clock may be corrected in the meantime.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// The key of a stream, which is checked again after each revocation on the platform, and when it expires.
pub(super) struct Revocation {
    keys: KeyCache,
    digest: KeyDigest,
    invalidations: watch::Receiver<()>,
    expires_at: Option<DateTime<Utc>>,
    /// Whether a check has begun and not ended.
    is_unchecked: bool,
}

impl Revocation {
    /// Of the key in these headers. `None` without one, which authentication has refused before.
    pub(super) fn of(keys: &KeyCache, headers: &HeaderMap) -> Option<Self> {
        let (keys, invalidations) = (keys.clone(), keys.invalidations());
        let digest = presented_key(headers)?;
        // The first check also finds out when the key expires.
        Some(Self { keys, digest, invalidations, expires_at: None, is_unchecked: true })
    }

    /// Returns the error with which the stream ends once the key no longer works. Can be cancelled.
    pub(super) async fn until_invalid(&mut self, clock: &dyn Clock) -> Error {
        loop {
            if !self.is_unchecked {
                tokio::select! {
                    changed = self.invalidations.changed() => if changed.is_err() {
                        // The cache lives as long as this.
                        return Error::Internal;
                    },
                    () = until(self.expires_at, clock) => {}
                }
                self.is_unchecked = true;
            }
            match Box::pin(self.keys.check(self.digest)).await {
                Ok(expires_at) => (self.expires_at, self.is_unchecked) = (expires_at, false),
                Err(Error::ApiKeyInvalid) => return Error::ApiKeyInvalid,
                Err(_) => sleep(RETRY_PAUSE).await,
            }
        }
    }
}

/// Returns when it is time to look whether a key has expired.
async fn until(expires_at: Option<DateTime<Utc>>, clock: &dyn Clock) {
    match expires_at {
        None => std::future::pending().await,
        Some(at) => sleep((at - clock.now()).to_std().unwrap_or_default().min(LONGEST_SLEEP)).await,
    }
}
