//! Look-ups that go together: what several callers look up by key at the same moment is read in one statement.
//!
//! A statement costs PostgreSQL and this process far more than one more row of it does. So no more than [`LANES`]
//! statements of a kind are under way for one group (the rows of one organization, say); whoever comes meanwhile shares
//! the next one. Nobody waits for company: a lone caller is served at once. A statement begins after each of its callers
//! came, so each sees all that was committed before.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::database::{Database, OPERATION_LIMIT};
use super::standby::Shown;
use super::{Failure, Link};
use crate::error::Error;

/// Statements of a kind under way for one group: one is on its way while the other's rows are handed out.
const LANES: usize = 2;
/// Most keys of one statement, so that it stays as short as the others of the service.
const MOST: usize = 64;

/// What was found under each key, in their order.
pub(super) type Found<L> = Vec<Result<<L as LookUp>::Found, Failure>>;

/// A kind of look-up by key.
pub(super) trait LookUp: Send + Sync + 'static {
    /// What keys of one statement have in common.
    type Group: Clone + Eq + Hash + Send + Sync;
    /// What is looked up.
    type Key: Send + Sync;
    /// What is found.
    type Found: Send;

    /// Looks up several, which may be the same.
    fn look_up<'a>(
        link: &'a mut Link,
        group: &'a Self::Group,
        keys: &'a [Self::Key],
    ) -> BoxFuture<'a, Result<Found<Self>, Failure>>;
}

type Answer<L> = oneshot::Sender<Result<<L as LookUp>::Found, Failure>>;

struct Queue<L: LookUp + ?Sized> {
    lanes: usize,
    /// At most as many as calls are under way.
    waiting: VecDeque<(L::Key, Answer<L>)>,
}

/// Keys of one statement, and who waits for what is found under each.
type Batch<L> = (Vec<<L as LookUp>::Key>, Vec<Answer<L>>);

type Queues<L> = Mutex<HashMap<<L as LookUp>::Group, Queue<L>>>;

/// Look-ups of one kind.
pub(super) struct Gathered<L: LookUp> {
    queues: Arc<Queues<L>>,
}

impl<L: LookUp> Default for Gathered<L> {
    fn default() -> Self {
        Self { queues: Arc::default() }
    }
}

impl<L: LookUp> Gathered<L> {
    /// Looks up one key, on the primary.
    ///
    /// # Errors
    /// What the database answered, or `Unavailable` when the operation limit is over.
    pub(super) async fn find(
        &self,
        db: &Database,
        group: L::Group,
        key: L::Key,
    ) -> Result<L::Found, Failure> {
        let (answer, answered) = oneshot::channel();
        if let Some(lane) = self.queue(group, key, answer) {
            let lane_db = db.clone();
            db.tasks.spawn(lane.run(lane_db));
        }
        match timeout(OPERATION_LIMIT, answered).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => {
                tracing::error!("a look-up ended early");
                Err(Error::Internal.into())
            }
            Err(_) => Err(Failure::Unavailable("no answer within the operation limit")),
        }
    }

    /// Takes a place in the queue of its group; gives the lane that is to be run where one is free.
    fn queue(&self, group: L::Group, key: L::Key, answer: Answer<L>) -> Option<Lane<L>> {
        let mut queues = lock(&self.queues);
        let queue =
            queues.entry(group.clone()).or_insert_with(|| Queue { lanes: 0, waiting: VecDeque::new() });
        queue.waiting.push_back((key, answer));
        (queue.lanes < LANES).then(|| {
            queue.lanes += 1;
            Lane { queues: self.queues.clone(), group, is_over: false }
        })
    }
}

fn lock<L: LookUp>(queues: &Queues<L>) -> MutexGuard<'_, HashMap<L::Group, Queue<L>>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One statement after the other, until nobody waits.
struct Lane<L: LookUp> {
    queues: Arc<Queues<L>>,
    group: L::Group,
    is_over: bool,
}

impl<L: LookUp> Lane<L> {
    async fn run(mut self, db: Database) {
        while let Some((keys, answers)) = self.next() {
            match self.look_up(&db, &keys).await {
                Ok(found) => {
                    for (answer, found) in answers.into_iter().zip(found) {
                        // Whoever has gone meanwhile does not want it.
                        let _ = answer.send(found);
                    }
                }
                Err(failure) => {
                    for answer in answers {
                        let _ = answer.send(Err(failure.clone()));
                    }
                }
            }
        }
    }

    async fn look_up(&self, db: &Database, keys: &[L::Key]) -> Result<Found<L>, Failure> {
        let mut session = db.lend(Instant::now() + OPERATION_LIMIT, Shown::Nothing).await?;
        session.attempt(|link| L::look_up(link, &self.group, keys)).await
    }

    /// Those who wait and have not gone. Where there is nobody the lane is given up at once, before anyone can come and
    /// rely on it.
    fn next(&mut self) -> Option<Batch<L>> {
        let mut queues = lock(&self.queues);
        let (mut keys, mut answers) = (Vec::new(), Vec::new());
        if let Some(queue) = queues.get_mut(&self.group) {
            while keys.len() < MOST
                && let Some((key, answer)) = queue.waiting.pop_front()
            {
                if !answer.is_closed() {
                    keys.push(key);
                    answers.push(answer);
                }
            }
        }
        if keys.is_empty() {
            self.is_over = true;
            give_up(&mut queues, &self.group);
        }
        (!keys.is_empty()).then_some((keys, answers))
    }
}

fn give_up<L: LookUp>(queues: &mut HashMap<L::Group, Queue<L>>, group: &L::Group) {
    if let Some(queue) = queues.get_mut(group) {
        queue.lanes -= 1;
        if queue.lanes == 0 && queue.waiting.is_empty() {
            queues.remove(group);
        }
    }
}

impl<L: LookUp> Drop for Lane<L> {
    fn drop(&mut self) {
        if !self.is_over {
            give_up(&mut lock(&self.queues), &self.group);
        }
    }
}
