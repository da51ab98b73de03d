//! Authentication: every call but health and reflection needs an API key.
//!
//! A layer and not a line in each handler, so that no RPC can forget it. The look-up is cached; what bounds the cache's
//! staleness is not a time to live but the key epoch, a counter in the database that every revocation moves and every
//! replica polls (see `health`): an entry holds until the epoch moves or a key is revoked through this process, and
//! only while the epoch is freshly known. So a revoked key stops working at once in the process that revoked it,
//! within one poll in the others while the database is up, and within [`EPOCH_FRESH`] of losing it at the latest.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Request, Response};
use quick_cache::sync::Cache;
use tokio::time::Instant;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::clock::Clock;
use crate::domain::{KeyDigest, Principal};
use crate::error::{Error, Result};
use crate::grpc::middleware::access_log::RequestId;
use crate::grpc::wire::status;
use crate::store::Database;
use crate::store::key_digests::{self, KnownKey};
use crate::telemetry::metrics::KeyMetrics;

/// Where a key is looked for, besides `authorization: Bearer`.
const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// How many keys are remembered; the least used are forgotten first. About 200 bytes each.
const REMEMBERED_KEYS: usize = 10_000;
/// How long the epoch is good for after it was last read: less than the 30 s in which a revoked key may still work.
const EPOCH_FRESH: Duration = Duration::from_secs(20);
/// What needs no key: probes and tools know none.
const OPEN_SERVICES: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Knows which keys work. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    clock: Arc<dyn Clock>,
    cache: Cache<KeyDigest, Entry>,
    epoch: AtomicI64,
    /// How often everything was forgotten.
    generation: AtomicU64,
    epoch_read_at: Mutex<Option<Instant>>,
    uses: crate::auth::key_usage::KeyUses,
    metrics: KeyMetrics,
}

#[derive(Clone)]
struct Entry {
    key: Arc<KnownKey>,
    /// The generation before the key was read.
    generation: u64,
}

impl KeyRing {
    /// A key ring that remembers nothing yet.
    #[must_use]
    pub fn new(db: Database, clock: Arc<dyn Clock>, metrics: KeyMetrics) -> Self {
        let inner = Inner {
            db,
            clock,
            cache: Cache::new(REMEMBERED_KEYS),
            epoch: AtomicI64::new(i64::MIN),
            generation: AtomicU64::new(0),
            epoch_read_at: Mutex::default(),
            uses: crate::auth::key_usage::KeyUses::default(),
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes note of the epoch as it was just read from the database.
    pub fn epoch_is(&self, epoch: i64) {
        if self.inner.epoch.swap(epoch, Ordering::AcqRel) != epoch {
            self.forget_all();
        }
        // Last: until then nothing from before an outage is taken for fresh.
        *self.inner.epoch_read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Forgets every key: one was revoked through this process, or the epoch moved.
    pub fn forget_all(&self) {
        // A look-up under way does not put a key back: it began in another generation.
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
        self.inner.cache.clear();
    }

    /// How many keys are remembered now.
    #[must_use]
    pub fn remembered_keys(&self) -> usize {
        self.inner.cache.len()
    }

    /// Writes down when keys were last used.
    pub async fn write_down_uses(&self) {
        self.inner.uses.write_down(&self.inner.db).await;
    }

    /// Who presents a key in these headers.
    ///
    /// # Errors
    /// `ApiKeyInvalid`; those of the database where the key is not remembered.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal> {
        let digest = presented_key(headers).ok_or(Error::ApiKeyInvalid)?;
        let key = self.find(digest).await?.ok_or(Error::ApiKeyInvalid)?;
        let now = self.inner.clock.now();
        if key.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(Error::ApiKeyInvalid);
        }
        self.inner.uses.note(&key.principal, now);
        Ok(key.principal.clone())
    }

    async fn find(&self, digest: KeyDigest) -> Result<Option<Arc<KnownKey>>> {
        let generation = self.generation();
        if let Some(key) = self.remembered(digest, generation) {
            self.inner.metrics.hit();
            return Ok(Some(key));
        }
        self.inner.metrics.miss();
        let Some(key) = key_digests::find(&self.inner.db, digest).await? else { return Ok(None) };
        let key = Arc::new(key);
        // Only what works is remembered: a key that was just made must not be refused for a while.
        self.remember(digest, key.clone(), generation);
        Ok(Some(key))
    }

    /// How often everything was forgotten, for [`Self::remember`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    fn remembered(&self, digest: KeyDigest, generation: u64) -> Option<Arc<KnownKey>> {
        let entry = self.inner.cache.get(&digest)?;
        (entry.generation == generation && self.epoch_is_fresh()).then_some(entry.key)
    }

    /// Remembers a key that was found, until everything is forgotten. `generation` is that of before the key was read.
    pub fn remember(&self, digest: KeyDigest, key: Arc<KnownKey>, generation: u64) {
        self.inner.cache.insert(digest, Entry { key, generation });
    }

    fn epoch_is_fresh(&self) -> bool {
        let read_at = *self.inner.epoch_read_at.lock().unwrap_or_else(PoisonError::into_inner);
        read_at.is_some_and(|read_at| read_at.elapsed() < EPOCH_FRESH)
    }
}

/// Whether a path belongs to a service that needs no key.
pub(in crate::grpc) fn is_open_service(path: &str) -> bool {
    OPEN_SERVICES.iter().any(|service| path.starts_with(service))
}

/// The digest of the one key that the metadata presents; `None` when there is none, or two that differ.
fn presented_key(headers: &HeaderMap) -> Option<KeyDigest> {
    let plain = headers.get_all(API_KEY_HEADER).iter().map(|value| Some(value.as_bytes()));
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| bearer_token(value.as_bytes()));
    let mut presented = plain.chain(bearer);
    let first = presented.next()??;
    presented.all(|other| other == Some(first)).then(|| KeyDigest::of(first))
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Puts the caller's [`Principal`] into the request's extensions, or answers in the handler's place.
#[derive(Clone)]
pub struct AuthLayer {
    keys: KeyRing,
}

impl AuthLayer {
    /// A layer that asks this key ring.
    #[must_use]
    pub const fn new(keys: KeyRing) -> Self {
        Self { keys }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { keys: self.keys.clone(), inner }
    }
}

/// The service that [`AuthLayer`] makes.
#[derive(Clone)]
pub struct Auth<S> {
    keys: KeyRing,
    inner: S,
}

impl<S> Service<Request<Body>> for Auth<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The instance that was polled ready is the one that is called; its clone waits for the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let keys = self.keys.clone();
        Box::pin(async move {
            if is_open_service(request.uri().path()) {
                return inner.call(request).await;
            }
            match keys.authenticate(request.headers()).await {
                Ok(principal) => {
                    crate::grpc::middleware::access_log::record_caller(request.extensions(), &principal);
                    request.extensions_mut().insert(principal);
                    inner.call(request).await
                }
                Err(error) => {
                    let request_id = request.extensions().get::<RequestId>();
                    let request_id = request_id.map(RequestId::as_str).unwrap_or_default();
                    Ok(status::from_error(&error, request_id).into_http())
                }
            }
        })
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderMap, HeaderName, HeaderValue};
    use sqlx::postgres::PgConnectOptions;
    use tokio_util::task::TaskTracker;
    use uuid::Uuid;

    use super::{KeyRing, KnownKey, presented_key};
    use crate::clock::SystemClock;
    use crate::domain::{KeyDigest, Principal};
    use crate::store::Database;
    use crate::telemetry::metrics::KeyMetrics;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[tokio::test]
    async fn a_look_up_under_way_puts_no_key_back_that_was_forgotten_meanwhile() {
        let db = Database::new(&PgConnectOptions::new(), 1, TaskTracker::new()).expect("a pool");
        let keys = KeyRing::new(db, Arc::new(SystemClock), KeyMetrics::default());
        keys.epoch_is(7);
        let digest = KeyDigest::of(b"k");
        let principal = Principal::Router { key_id: Uuid::from_u128(1).into() };
        let known = Arc::new(KnownKey { principal, expires_at: None });
        let remembers = || keys.remembered(digest, keys.generation()).is_some();

        let meanwhile: [(&str, &dyn Fn()); 4] = [
            ("a revoke", &|| keys.forget_all()),
            ("a second revoke before the next poll", &|| keys.forget_all()),
            ("a poll that read the epoch before the revoke", &|| {
                keys.forget_all();
                keys.epoch_is(7);
            }),
            ("a poll that saw a revoke", &|| keys.epoch_is(8)),
        ];
        for (what, happens) in meanwhile {
            let generation = keys.generation();
            happens();
            keys.remember(digest, known.clone(), generation);
            assert!(!remembers(), "{what}");
            keys.remember(digest, known.clone(), keys.generation());
            assert!(remembers(), "{what}");
        }
    }

    #[test]
    fn a_key_is_taken_from_either_header_and_two_that_differ_are_none() {
        let key = Some(KeyDigest::of(b"k"));
        for good in [
            &[("x-api-key", "k")][..],
            &[("authorization", "Bearer k")],
            &[("authorization", "bearer k")],
            &[("x-api-key", "k"), ("authorization", "Bearer k")],
        ] {
            assert_eq!(presented_key(&headers(good)), key, "{good:?}");
        }
        for bad in [
            &[][..],
            &[("authorization", "k")],
            &[("authorization", "Basic k")],
            &[("authorization", "Bearer")],
            &[("x-api-key", "k"), ("authorization", "Bearer other")],
            &[("x-api-key", "k"), ("authorization", "Basic k")],
        ] {
            assert_eq!(presented_key(&headers(bad)), None, "{bad:?}");
        }
    }
}
