//! Request batching: concurrent look-ups or updates of the same kind are coalesced into one SQL statement.
//!
//! - At most [`BatchQuery::WORKERS`] batches per scope (for example, the rows of one organization) run at once. Requests
//!   that arrive in the meantime form the next batch. A request on an idle scope is sent immediately; there is no
//!   batching delay.
//! - If a statement takes long (a slow disk, a connection that does not answer), a further worker starts beside it.
//! - A batch starts after each of its requests arrived, so each request sees everything that was committed before it.
//! - A batch is as slow as its slowest row, so batch queries must never block on row locks (use `SKIP LOCKED`).

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::affects::Affects;
use super::connection::DbConnection;
use super::error::StoreError;
use super::primary::{OPERATION_LIMIT, Primary};
use crate::admission::{current_consumer, scope};
use crate::domain::OrganizationId;
use crate::error::Error;

/// How long a request waits before a further worker starts: several times as long as a statement takes, and too short
/// for a person to notice.
const STALL_TIMEOUT: Duration = Duration::from_millis(10);
/// Maximum number of workers of one kind and scope, however long statements take: a quarter of the default sessions.
const MAX_WORKERS: usize = 4;

/// The output of each key, in the order of the keys.
pub(in crate::store) type Outputs<Q> = Vec<Result<<Q as BatchQuery>::Output, StoreError>>;

/// A query by key that can serve several requests in one statement.
pub(in crate::store) trait BatchQuery: Send + Sync + 'static {
    /// What the requests of one batch have in common.
    type Scope: Clone + Eq + Hash + Send + Sync;
    type Key: Send + Sync;
    type Output: Send;

    /// The name of the span of one request.
    const SPAN: &'static str;
    /// Maximum number of keys of one statement, so that it stays as short as the others of the service.
    const MAX_BATCH: usize = 64;
    /// Number of batches of one scope that run at once while none of them stalls.
    const WORKERS: usize = 1;
    /// Whether Citus cannot run it for several keys: see `store::pool::citus`.
    const SINGLE_ON_CITUS: bool = false;

    /// What it changes.
    fn affects(_: &Self::Scope) -> Affects {
        Affects::None
    }

    /// The organization whose list or get this is; `None` for a query that must run on the primary.
    fn reads_for(_: &Self::Scope) -> Option<&OrganizationId> {
        None
    }

    /// Whether an output of the replica is the answer. Otherwise the primary is asked: another process may have created
    /// the row a moment ago.
    fn is_found(_: &Self::Output) -> bool {
        true
    }

    /// Answers several keys, which may be equal.
    fn run<'a>(
        connection: &'a mut DbConnection,
        scope: &'a Self::Scope,
        keys: &'a [Self::Key],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>>;
}

/// The index of a key, from its number in `unnest(..) WITH ORDINALITY`, which starts at 1; `None` if it is out of range.
pub(in crate::store) fn key_index(number: i64, keys: usize) -> Option<usize> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    (index < keys).then_some(index)
}

/// Answers a single key.
pub(super) async fn run_one<Q: BatchQuery>(
    connection: &mut DbConnection,
    scope: &Q::Scope,
    keys: &[Q::Key],
) -> Result<Q::Output, StoreError> {
    let output = Q::run(connection, scope, keys).await?.pop();
    output.unwrap_or_else(|| {
        tracing::error!("a batch query gave no output for its key");
        Err(Error::Internal.into())
    })
}

/// One batcher for each kind of query, made on first use. Keyed by type, so that the pool knows no query.
#[derive(Default)]
pub(super) struct Batchers {
    by_query: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Batchers {
    pub(super) fn of<Q: BatchQuery>(&self) -> Batcher<Q> {
        let id = TypeId::of::<Q>();
        let known = self.by_query.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let queues = known.unwrap_or_else(|| {
            let mut by_query = self.by_query.write().unwrap_or_else(PoisonError::into_inner);
            let new: Arc<Queues<Q>> = Arc::default();
            by_query.entry(id).or_insert(new).clone()
        });
        // The entry of a type is always of that type.
        Batcher { queues: queues.downcast().unwrap_or_default() }
    }
}

type Responder<Q> = oneshot::Sender<Result<<Q as BatchQuery>::Output, StoreError>>;

struct Queue<Q: BatchQuery + ?Sized> {
    workers: usize,
    /// Bounded by the number of calls in flight.
    waiting: VecDeque<(Q::Key, Responder<Q>)>,
}

/// The keys of one statement, and the callers that wait for them.
type Batch<Q> = (Vec<<Q as BatchQuery>::Key>, Vec<Responder<Q>>);

type Queues<Q> = Mutex<HashMap<<Q as BatchQuery>::Scope, Queue<Q>>>;

pub(super) struct Batcher<Q: BatchQuery> {
    queues: Arc<Queues<Q>>,
}

impl<Q: BatchQuery> Batcher<Q> {
    /// Requests one key, on the primary. A caller that is dropped before its statement starts has requested nothing.
    pub(super) async fn load(
        &self,
        primary: &Primary,
        scope: Q::Scope,
        key: Q::Key,
    ) -> Result<Q::Output, StoreError> {
        if Q::SINGLE_ON_CITUS && primary.is_distributed() {
            let keys = [key];
            let mut session = primary.acquire(Instant::now() + OPERATION_LIMIT, Q::affects(&scope)).await?;
            return session.run_untraced(|connection| run_one::<Q>(connection, &scope, &keys)).await;
        }
        let deadline = Instant::now() + OPERATION_LIMIT;
        // Dropped after the response is, so that it finds this request abandoned.
        let mut waiting = Waiting { queues: &self.queues, scope: scope.clone(), is_answered: false };
        let (responder, mut response) = oneshot::channel();
        let worker = self.enqueue(scope.clone(), key, responder);
        spawn(worker, primary);
        let received = match timeout(STALL_TIMEOUT, &mut response).await {
            Err(_) => {
                spawn(self.extra_worker(scope), primary);
                timeout_at(deadline, response).await
            }
            in_time => in_time,
        };
        waiting.is_answered = received.is_ok();
        match received {
            Ok(Ok(output)) => output,
            Ok(Err(_responder_dropped)) => {
                tracing::error!("a batch worker ended early");
                Err(Error::Internal.into())
            }
            Err(_elapsed) => Err(StoreError::Unavailable("no answer within the operation limit")),
        }
    }

    /// Queues a key; gives the worker that is to be spawned if its scope has too few.
    fn enqueue(&self, scope: Q::Scope, key: Q::Key, responder: Responder<Q>) -> Option<Worker<Q>> {
        let mut queues = lock(&self.queues);
        let queue =
            queues.entry(scope.clone()).or_insert_with(|| Queue { workers: 0, waiting: VecDeque::new() });
        queue.waiting.push_back((key, responder));
        (queue.workers < Q::WORKERS).then(|| self.worker(queue, scope))
    }

    /// One worker more for requests that wait, up to [`MAX_WORKERS`].
    fn extra_worker(&self, scope: Q::Scope) -> Option<Worker<Q>> {
        let mut queues = lock(&self.queues);
        let queue = queues.get_mut(&scope)?;
        (queue.workers < MAX_WORKERS && !queue.waiting.is_empty()).then(|| self.worker(queue, scope))
    }

    fn worker(&self, queue: &mut Queue<Q>, scope: Q::Scope) -> Worker<Q> {
        queue.workers += 1;
        Worker { queues: self.queues.clone(), scope, is_retired: false }
    }
}

/// A caller that waits. If it leaves without an answer, its request leaves the queue, so that a queue is never longer than
/// the number of its callers.
struct Waiting<'a, Q: BatchQuery> {
    queues: &'a Queues<Q>,
    scope: Q::Scope,
    is_answered: bool,
}

impl<Q: BatchQuery> Drop for Waiting<'_, Q> {
    fn drop(&mut self) {
        if !self.is_answered
            && let Some(queue) = lock::<Q>(self.queues).get_mut(&self.scope)
        {
            queue.waiting.retain(|(_, responder)| !responder.is_closed());
        }
    }
}

fn spawn<Q: BatchQuery>(worker: Option<Worker<Q>>, primary: &Primary) {
    if let Some(worker) = worker {
        // For the same consumer, but not as part of the call, since it serves other calls as well.
        primary.tasks.spawn(scope(current_consumer(), None, worker.run(primary.clone())));
    }
}

fn lock<Q: BatchQuery>(queues: &Queues<Q>) -> MutexGuard<'_, HashMap<Q::Scope, Queue<Q>>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one batch after the other until no request waits.
struct Worker<Q: BatchQuery> {
    queues: Arc<Queues<Q>>,
    scope: Q::Scope,
    is_retired: bool,
}

impl<Q: BatchQuery> Worker<Q> {
    async fn run(mut self, primary: Primary) {
        while let Some((keys, responders)) = self.next_batch() {
            match self.outputs(&primary, &keys).await {
                Ok(outputs) => {
                    for (responder, output) in responders.into_iter().zip(outputs) {
                        // Fails if the caller was dropped in the meantime.
                        let _ = responder.send(output);
                    }
                }
                Err(error) => {
                    for responder in responders {
                        let _ = responder.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// A batch that only reads is run again on another connection if its connection breaks: one broken connection must
    /// not fail all of its callers.
    async fn outputs(&self, primary: &Primary, keys: &[Q::Key]) -> Result<Outputs<Q>, StoreError> {
        let deadline = Instant::now() + OPERATION_LIMIT;
        match self.run_batch(primary, keys, deadline).await {
            Err(error) if error.broke_connection() && matches!(Q::affects(&self.scope), Affects::None) => {
                self.run_batch(primary, keys, deadline).await
            }
            outputs => outputs,
        }
    }

    async fn run_batch(
        &self,
        primary: &Primary,
        keys: &[Q::Key],
        deadline: Instant,
    ) -> Result<Outputs<Q>, StoreError> {
        let mut session = primary.acquire(deadline, Q::affects(&self.scope)).await?;
        session
            .run_untraced(|connection| async move {
                // The first batch of all is queued before it is known whether the database is distributed.
                if !(Q::SINGLE_ON_CITUS && connection.is_distributed()) {
                    return Q::run(connection, &self.scope, keys).await;
                }
                let mut outputs = Vec::with_capacity(keys.len());
                for key in keys.chunks(1) {
                    outputs.push(run_one::<Q>(connection, &self.scope, key).await);
                }
                Ok(outputs)
            })
            .await
    }

    /// The requests that wait, without those of dropped callers. If there are none, the worker retires under the same
    /// lock, so that no new request can rely on it.
    fn next_batch(&mut self) -> Option<Batch<Q>> {
        let mut queues = lock(&self.queues);
        let (mut keys, mut responders) = (Vec::new(), Vec::new());
        if let Some(queue) = queues.get_mut(&self.scope) {
            while keys.len() < Q::MAX_BATCH
                && let Some((key, responder)) = queue.waiting.pop_front()
            {
                if !responder.is_closed() {
                    keys.push(key);
                    responders.push(responder);
                }
            }
        }
        if keys.is_empty() {
            self.is_retired = true;
            retire(&mut queues, &self.scope);
        }
        (!keys.is_empty()).then_some((keys, responders))
    }
}

fn retire<Q: BatchQuery>(queues: &mut HashMap<Q::Scope, Queue<Q>>, scope: &Q::Scope) {
    if let Some(queue) = queues.get_mut(scope) {
        queue.workers -= 1;
        if queue.workers == 0 && queue.waiting.is_empty() {
            queues.remove(scope);
        }
    }
}

impl<Q: BatchQuery> Drop for Worker<Q> {
    fn drop(&mut self) {
        if !self.is_retired {
            retire(&mut lock(&self.queues), &self.scope);
        }
    }
}
