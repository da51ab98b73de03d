//! The cache of API keys.
//!
//! Its staleness is not bounded by a time to live but by the key epoch: a counter in the database that every revocation
//! increments and every replica polls (see `health`). An entry is valid until the epoch changes or a key is revoked through
//! this process, and only while the epoch is fresh. A revoked key therefore stops working
//!
//! - at once in the process that revoked it,
//! - within one poll in other processes while the database is up,
//! - within [`EPOCH_TTL`] in a process that has lost the database.
//!
//! Every revocation invalidates the whole cache. Concurrent look-ups of one key are then one database query (single
//! flight), and keys that were valid before are looked up apart from unknown ones, so that somebody who presents keys at
//! random is not in their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::key_usage::KeyUsage;
use super::presented_key;
use super::single_flight::SingleFlight;
use crate::admission::{Consumer, RETRY_AFTER, scope};
use crate::clock::Clock;
use crate::domain::{KeyDigest, Principal};
use crate::error::{Error, Result};
use crate::store::Database;
use crate::store::key_digests::{self, Asker, KnownKey};
use crate::telemetry::metrics::KeyMetrics;

/// Maximum number of cached keys, of about 200 bytes each. The least used are evicted first.
const CAPACITY: usize = 10_000;
/// Maximum number of digests that are known to be of no key.
const WRONG_CAPACITY: usize = 10_000;
/// How long a digest is known to be of no key: long enough for a client that repeats its call in a loop. A key that is
/// created later has another digest.
const WRONG_TTL: Duration = Duration::from_secs(5);
/// Maximum number of look-ups of unknown keys in progress. They share statements.
const MAX_UNKNOWN_LOOKUPS: usize = 256;
/// How long the epoch counts as fresh after it was read: less than the 30 s in which a revoked key may still work.
const EPOCH_TTL: Duration = Duration::from_secs(20);
/// The value of `epoch_read_at` before the first read.
const NEVER: u64 = u64::MAX;

/// Authenticates calls. Cheap to clone.
#[derive(Clone)]
pub struct KeyCache {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    clock: Arc<dyn Clock>,
    /// Entries of an older generation are not valid, and say for whom a key is looked up.
    cache: Cache<KeyDigest, Entry>,
    /// Digests of no key, and when that was found.
    wrong: Cache<KeyDigest, Instant>,
    unknown_lookups: Semaphore,
    /// Look-ups in progress by key and generation: a call that arrives after a revocation does not join a look-up that
    /// began before it.
    lookups: SingleFlight<(KeyDigest, u64), Result<Option<Arc<KnownKey>>>>,
    epoch: AtomicI64,
    /// Number of invalidations.
    generation: AtomicU64,
    /// Told of each invalidation.
    invalidated: watch::Sender<()>,
    started: Instant,
    /// Milliseconds from `started` to the last read of the epoch, or [`NEVER`].
    epoch_read_at: AtomicU64,
    usage: KeyUsage,
    metrics: KeyMetrics,
}

#[derive(Clone)]
struct Entry {
    key: Arc<KnownKey>,
    /// The generation before the key was read from the database.
    generation: u64,
}

impl KeyCache {
    /// An empty cache.
    #[must_use]
    pub fn new(db: Database, clock: Arc<dyn Clock>, metrics: KeyMetrics) -> Self {
        let inner = Inner {
            db,
            clock,
            cache: Cache::new(CAPACITY),
            wrong: Cache::new(WRONG_CAPACITY),
            unknown_lookups: Semaphore::new(MAX_UNKNOWN_LOOKUPS),
            lookups: SingleFlight::new(),
            epoch: AtomicI64::new(i64::MIN),
            generation: AtomicU64::new(0),
            invalidated: watch::Sender::new(()),
            started: Instant::now(),
            epoch_read_at: AtomicU64::new(NEVER),
            usage: KeyUsage::default(),
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Records the epoch that was just read from the database, and invalidates all keys if it has changed.
    pub fn observe_epoch(&self, epoch: i64) {
        if self.inner.epoch.swap(epoch, Ordering::AcqRel) != epoch {
            self.invalidate_all();
        }
        // Last: entries from before an outage must be invalidated before the epoch counts as fresh again.
        self.inner.epoch_read_at.store(self.elapsed(), Ordering::Release);
    }

    /// Invalidates all keys: a key was revoked through this process, or the epoch has changed.
    pub fn invalidate_all(&self) {
        // First: a look-up in progress then inserts an entry of an older generation, which is never used.
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
        self.inner.invalidated.send_replace(());
    }

    /// Tells of each invalidation, after which a call that goes on must [`Self::check`] its key again.
    #[must_use]
    pub fn invalidations(&self) -> watch::Receiver<()> {
        self.inner.invalidated.subscribe()
    }

    /// Returns when a key that was authenticated expires; `None` = never.
    ///
    /// # Errors
    /// `ApiKeyInvalid` if it does not work any more; those of the database if it is not cached.
    pub async fn check(&self, digest: KeyDigest) -> Result<Option<DateTime<Utc>>> {
        Ok(self.find_valid(digest).await?.expires_at)
    }

    /// Number of cached keys that are valid.
    #[must_use]
    pub fn cached_keys(&self) -> usize {
        let generation = self.generation();
        self.inner.cache.iter().filter(|(_, entry)| entry.generation == generation).count()
    }

    /// Writes the recorded usage of keys to the database.
    pub async fn flush_usage(&self) {
        self.inner.usage.flush(&self.inner.db).await;
    }

    /// The principal of the API key in these headers.
    ///
    /// # Errors
    /// `ApiKeyInvalid`; those of the database if the key is not cached.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal> {
        let digest = presented_key(headers).ok_or(Error::ApiKeyInvalid)?;
        let key = self.find_valid(digest).await?;
        self.inner.usage.record(&key.principal, self.inner.clock.now());
        Ok(key.principal.clone())
    }

    async fn find_valid(&self, digest: KeyDigest) -> Result<Arc<KnownKey>> {
        let key = self.find(digest).await?.ok_or(Error::ApiKeyInvalid)?;
        let now = self.inner.clock.now();
        let is_expired = key.expires_at.is_some_and(|expires_at| expires_at <= now);
        if is_expired { Err(Error::ApiKeyInvalid) } else { Ok(key) }
    }

    async fn find(&self, digest: KeyDigest) -> Result<Option<Arc<KnownKey>>> {
        let generation = self.generation();
        if let Some(key) = self.get(digest, generation) {
            self.inner.metrics.hit();
            return Ok(Some(key));
        }
        if self.inner.wrong.get(&digest).is_some_and(|found_at| found_at.elapsed() < WRONG_TTL) {
            self.inner.metrics.hit();
            return Ok(None);
        }
        self.inner.metrics.miss();
        self.inner.lookups.load((digest, generation), self.look_up(digest, generation)).await
    }

    async fn look_up(&self, digest: KeyDigest, generation: u64) -> Result<Option<Arc<KnownKey>>> {
        let earlier = self.inner.cache.peek(&digest);
        let (consumer, asker, _permit) = match earlier {
            Some(entry) => (Consumer::from(&entry.key.principal), Asker::Known, None),
            None => {
                let permit = self.inner.unknown_lookups.try_acquire();
                let permit = permit.map_err(|_| Error::Overloaded { retry_after: RETRY_AFTER })?;
                (Consumer::Unauthenticated, Asker::Unknown, Some(permit))
            }
        };
        let found = scope(consumer, None, key_digests::find(&self.inner.db, asker, digest)).await?;
        let Some(key) = found.map(Arc::new) else {
            self.inner.cache.remove(&digest);
            self.inner.wrong.insert(digest, Instant::now());
            return Ok(None);
        };
        self.insert(digest, key.clone(), generation);
        Ok(Some(key))
    }

    /// The current generation, for [`Self::insert`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    fn get(&self, digest: KeyDigest, generation: u64) -> Option<Arc<KnownKey>> {
        let entry = self.inner.cache.get(&digest)?;
        (entry.generation == generation && self.is_epoch_fresh()).then_some(entry.key)
    }

    /// Caches a key until the next invalidation. `generation` is that of before the key was read from the database.
    pub fn insert(&self, digest: KeyDigest, key: Arc<KnownKey>, generation: u64) {
        self.inner.cache.insert(digest, Entry { key, generation });
    }

    fn is_epoch_fresh(&self) -> bool {
        let read_at = self.inner.epoch_read_at.load(Ordering::Acquire);
        let age = self.elapsed().saturating_sub(read_at);
        read_at != NEVER && u128::from(age) < EPOCH_TTL.as_millis()
    }

    /// Milliseconds since the cache was created.
    fn elapsed(&self) -> u64 {
        u64::try_from(self.inner.started.elapsed().as_millis()).unwrap_or(NEVER)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sqlx::postgres::PgConnectOptions;
    use tokio::sync::oneshot;
    use tokio_util::task::TaskTracker;
    use uuid::Uuid;

    use super::{KeyCache, KnownKey};
    use crate::clock::SystemClock;
    use crate::domain::{KeyDigest, Principal};
    use crate::error::Error;
    use crate::store::Database;
    use crate::telemetry::metrics::KeyMetrics;

    fn cache() -> KeyCache {
        let db = Database::new(&PgConnectOptions::new(), 1, TaskTracker::new());
        let keys = KeyCache::new(db, Arc::new(SystemClock), KeyMetrics::default());
        keys.observe_epoch(7);
        keys
    }

    fn known_key() -> Arc<KnownKey> {
        let principal = Principal::Router { key_id: Uuid::from_u128(1).into() };
        Arc::new(KnownKey { principal, expires_at: None })
    }

    #[tokio::test]
    async fn a_call_after_a_revocation_does_not_join_a_look_up_from_before_it() {
        let keys = cache();
        let digest = KeyDigest::of(b"k");
        let (end_lookup, lookup_ends) = oneshot::channel();
        let lookup = keys.inner.lookups.load((digest, keys.generation()), async {
            lookup_ends.await.expect("the end of the look-up");
            Ok(Some(known_key()))
        });
        let (found, before, ()) = tokio::join!(lookup, keys.find(digest), async {
            keys.invalidate_all();
            // The database of this test does not answer, so a look-up of its own fails.
            let after = keys.find(digest).await;
            assert!(matches!(after, Err(Error::StorageUnavailable)), "{after:?}");
            end_lookup.send(()).expect("a look-up in progress");
        });
        assert!(found.expect("the key").is_some());
        assert!(before.expect("the key").is_some(), "a call from before the revocation joins");
    }

    #[tokio::test]
    async fn a_look_up_that_began_before_an_invalidation_does_not_cache_its_key() {
        let keys = cache();
        let digest = KeyDigest::of(b"k");
        let known = known_key();
        let is_cached = || keys.get(digest, keys.generation()).is_some();

        let invalidations: [(&str, &dyn Fn()); 4] = [
            ("a revocation", &|| keys.invalidate_all()),
            ("a second revocation before the next poll", &|| keys.invalidate_all()),
            ("a poll that read the epoch before the revocation", &|| {
                keys.invalidate_all();
                keys.observe_epoch(7);
            }),
            ("a poll that read the epoch after a revocation", &|| keys.observe_epoch(8)),
        ];
        for (what, invalidate) in invalidations {
            let generation = keys.generation();
            invalidate();
            keys.insert(digest, known.clone(), generation);
            assert!(!is_cached(), "{what}");
            keys.insert(digest, known.clone(), keys.generation());
            assert!(is_cached(), "{what}");
        }
    }
}
