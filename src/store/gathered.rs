//! Statements that callers share: what several ask for by key at the same moment is read, or changed, in one.
//!
//! A statement costs PostgreSQL and this process far more than one more row of it does. So only one statement of a kind
//! is under way for one group (the rows of one organization, say), or a few; whoever comes meanwhile shares the next
//! one. Nobody waits for company: a lone caller is served at once, and where statements are slow (a disk that takes its
//! time, a connection that does not answer) another begins beside them. A statement begins after each of its callers came,
//! so each sees all that was committed before.
//!
//! All callers of a statement wait as long as the slowest of them would, so none of its rows may be waited for.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::affects::Affects;
use super::database::{Database, OPERATION_LIMIT};
use super::{DbConnection, StoreError};
use crate::error::Error;

/// How long a caller waits before another statement begins beside those under way: some times as long as one takes, and
/// too short for anyone to notice.
const PATIENCE: Duration = Duration::from_millis(10);
/// Most statements of a kind under way for one group, however long they take: a quarter of the default sessions.
const MOST_LANES: usize = 4;
/// What each caller is answered, in their order.
pub(super) type Answers<S> = Vec<Result<<S as Shared>::Answer, StoreError>>;

/// A kind of statement that callers share.
pub(super) trait Shared: Send + Sync + 'static {
    /// What callers of one statement have in common.
    type Group: Clone + Eq + Hash + Send + Sync;
    /// What a caller asks for.
    type Item: Send + Sync;
    /// What a caller is answered.
    type Answer: Send;

    /// Most callers of one statement, so that it stays as short as the others of the service.
    const MOST: usize = 64;
    /// Statements under way at once for one group while nobody waits long.
    const LANES: usize = 1;

    /// Whose rows, of those that lists and gets show, it changes.
    fn affects(_: &Self::Group) -> Affects {
        Affects::None
    }

    /// Answers several, who may ask for the same.
    fn run<'a>(
        link: &'a mut DbConnection,
        group: &'a Self::Group,
        items: &'a [Self::Item],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>>;
}

type Caller<S> = oneshot::Sender<Result<<S as Shared>::Answer, StoreError>>;

struct Queue<S: Shared + ?Sized> {
    lanes: usize,
    /// At most as many as calls are under way.
    waiting: VecDeque<(S::Item, Caller<S>)>,
}

/// What one statement is asked for, and by whom.
type Batch<S> = (Vec<<S as Shared>::Item>, Vec<Caller<S>>);

type Queues<S> = Mutex<HashMap<<S as Shared>::Group, Queue<S>>>;

/// Statements of one kind.
pub(super) struct Gathered<S: Shared> {
    queues: Arc<Queues<S>>,
}

impl<S: Shared> Default for Gathered<S> {
    fn default() -> Self {
        Self { queues: Arc::default() }
    }
}

impl<S: Shared> Gathered<S> {
    /// Asks for one thing, on the primary. A caller who gives up before the statement begins has asked for nothing.
    ///
    /// # Errors
    /// What the database answered, or `Unavailable` when the operation limit is over.
    pub(super) async fn ask(
        &self,
        db: &Database,
        group: S::Group,
        item: S::Item,
    ) -> Result<S::Answer, StoreError> {
        let deadline = Instant::now() + OPERATION_LIMIT;
        let (caller, mut answered) = oneshot::channel();
        let lane = self.queue(group.clone(), item, caller);
        begin(lane, db);
        let answer = match timeout(PATIENCE, &mut answered).await {
            Err(_) => {
                begin(self.beside_the_slow(group), db);
                timeout_at(deadline, answered).await
            }
            in_time => in_time,
        };
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                tracing::error!("a shared statement ended early");
                Err(Error::Internal.into())
            }
            Err(_) => Err(StoreError::Unavailable("no answer within the operation limit")),
        }
    }

    /// Takes a place in the queue of its group; gives the lane that is to be run where one is free.
    fn queue(&self, group: S::Group, item: S::Item, caller: Caller<S>) -> Option<Lane<S>> {
        let mut queues = lock(&self.queues);
        let queue =
            queues.entry(group.clone()).or_insert_with(|| Queue { lanes: 0, waiting: VecDeque::new() });
        queue.waiting.push_back((item, caller));
        (queue.lanes < S::LANES).then(|| self.lane(queue, group))
    }

    /// One lane more for those who wait, where there may be one.
    fn beside_the_slow(&self, group: S::Group) -> Option<Lane<S>> {
        let mut queues = lock(&self.queues);
        let queue = queues.get_mut(&group)?;
        (queue.lanes < MOST_LANES && !queue.waiting.is_empty()).then(|| self.lane(queue, group))
    }

    fn lane(&self, queue: &mut Queue<S>, group: S::Group) -> Lane<S> {
        queue.lanes += 1;
        Lane { queues: self.queues.clone(), group, is_over: false }
    }
}

fn begin<S: Shared>(lane: Option<Lane<S>>, db: &Database) {
    if let Some(lane) = lane {
        db.tasks.spawn(lane.run(db.clone()));
    }
}

fn lock<S: Shared>(queues: &Queues<S>) -> MutexGuard<'_, HashMap<S::Group, Queue<S>>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One statement after the other, until nobody waits.
struct Lane<S: Shared> {
    queues: Arc<Queues<S>>,
    group: S::Group,
    is_over: bool,
}

impl<S: Shared> Lane<S> {
    async fn run(mut self, db: Database) {
        while let Some((items, callers)) = self.next() {
            match self.answer(&db, &items).await {
                Ok(answers) => {
                    for (caller, answer) in callers.into_iter().zip(answers) {
                        // Whoever has gone meanwhile does not want it.
                        let _ = caller.send(answer);
                    }
                }
                Err(failure) => {
                    for caller in callers {
                        let _ = caller.send(Err(failure.clone()));
                    }
                }
            }
        }
    }

    async fn answer(&self, db: &Database, items: &[S::Item]) -> Result<Answers<S>, StoreError> {
        let mut session = db.lend(Instant::now() + OPERATION_LIMIT, S::affects(&self.group)).await?;
        session.attempt(|link| S::run(link, &self.group, items)).await
    }

    /// Those who wait and have not gone. Where there is nobody the lane is given up at once, before anyone can come and
    /// rely on it.
    fn next(&mut self) -> Option<Batch<S>> {
        let mut queues = lock(&self.queues);
        let (mut items, mut callers) = (Vec::new(), Vec::new());
        if let Some(queue) = queues.get_mut(&self.group) {
            while items.len() < S::MOST
                && let Some((item, caller)) = queue.waiting.pop_front()
            {
                if !caller.is_closed() {
                    items.push(item);
                    callers.push(caller);
                }
            }
        }
        if items.is_empty() {
            self.is_over = true;
            give_up(&mut queues, &self.group);
        }
        (!items.is_empty()).then_some((items, callers))
    }
}

fn give_up<S: Shared>(queues: &mut HashMap<S::Group, Queue<S>>, group: &S::Group) {
    if let Some(queue) = queues.get_mut(group) {
        queue.lanes -= 1;
        if queue.lanes == 0 && queue.waiting.is_empty() {
            queues.remove(group);
        }
    }
}

impl<S: Shared> Drop for Lane<S> {
    fn drop(&mut self) {
        if !self.is_over {
            give_up(&mut lock(&self.queues), &self.group);
        }
    }
}
