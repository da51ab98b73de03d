//! Consumers of events that are cut off at random and resume, on whichever replica answers.

use std::collections::HashSet;
use std::time::Duration;

use inkbox_imessage::proto::{Event, ListEventsRequest, WatchEventsRequest};
use rand::RngExt as _;
use rand::rngs::StdRng;
use sqlx::postgres::PgPool;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::Watcher;
use crate::support::callers::Caller;

/// How long a consumer waits for the next event of a stream before it leaves it.
const IDLE: Duration = Duration::from_millis(300);
/// Pause after an error: the service is likely to be still unavailable.
const PAUSE: Duration = Duration::from_millis(20);

/// A consumer that reads all events from the first one on.
pub struct Consumer {
    stop: CancellationToken,
    task: JoinHandle<Vec<Event>>,
}

impl Consumer {
    /// `caller` gives the caller of each attempt. A consumer by stream also reads pages, to find its first cursor and the end.
    pub fn start(
        caller: impl Fn() -> Caller + Send + Sync + 'static,
        by_stream: bool,
        chance: StdRng,
    ) -> Self {
        let stop = CancellationToken::new();
        let reading = Reading { events: Vec::new(), seen: HashSet::new(), cursor: String::new(), chance };
        let task = tokio::spawn(consume(caller, by_stream, reading, stop.clone()));
        Self { stop, task }
    }

    /// Reads to the end of the log. Returns the events in the order in which they came.
    pub async fn end(self) -> Vec<Event> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

struct Reading {
    events: Vec<Event>,
    seen: HashSet<String>,
    cursor: String,
    chance: StdRng,
}

impl Reading {
    fn take(&mut self, event: Event) {
        assert!(self.seen.insert(event.id.clone()), "an event before the cursor: {event:?}");
        self.cursor.clone_from(&event.cursor);
        self.events.push(event);
    }
}

async fn consume(
    caller: impl Fn() -> Caller,
    by_stream: bool,
    mut reading: Reading,
    stop: CancellationToken,
) -> Vec<Event> {
    loop {
        let is_last = stop.is_cancelled();
        let read = if by_stream && !is_last && !reading.cursor.is_empty() {
            watch(&caller(), &mut reading).await
        } else {
            let wait = i32::from(!is_last);
            match list(&caller(), &mut reading, wait).await {
                Ok(0) if is_last => return reading.events,
                read => read.map(drop),
            }
        };
        if let Err(status) = read {
            let passes = [Code::Unavailable, Code::Cancelled, Code::DeadlineExceeded, Code::Unknown];
            assert!(passes.contains(&status.code()) || status.message().contains("overloaded"), "{status:?}");
            sleep(PAUSE).await;
        }
    }
}

/// Reads a random number of events, and leaves the stream.
async fn watch(caller: &Caller, reading: &mut Reading) -> Result<(), Status> {
    let count = reading.chance.random_range(1..20);
    let request = WatchEventsRequest { after: reading.cursor.clone(), ..Default::default() };
    let mut watcher = Watcher::open(caller, request).await?;
    for _ in 0..count {
        match timeout(IDLE, watcher.next()).await {
            Ok(event) => reading.take(event?),
            // A heartbeat moves the cursor on as well.
            Err(_idle) => break,
        }
    }
    Ok(())
}

/// Returns how many events there were.
async fn list(caller: &Caller, reading: &mut Reading, wait: i32) -> Result<usize, Status> {
    let limit = reading.chance.random_range(1..50);
    let request = ListEventsRequest {
        after: reading.cursor.clone(),
        limit: Some(limit),
        wait_seconds: Some(wait),
        ..Default::default()
    };
    let page = caller.list_events(request).await?;
    let count = page.events.len();
    for event in page.events {
        reading.take(event);
    }
    reading.cursor = page.cursor;
    Ok(count)
}

/// The ids of an organization's events in commit order: all, or those that an identity key sees.
async fn committed(pool: &PgPool, organization: &str, identity: Option<&str>) -> Vec<String> {
    let identity = identity.map(|id| Uuid::try_parse(id).unwrap());
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM events
         WHERE organization_id = $1 AND ($2::uuid IS NULL OR (agent_identity_id = $2 AND NOT is_blocked))
         ORDER BY sequence",
    )
    .bind(organization)
    .bind(identity)
    .fetch_all(pool)
    .await
    .unwrap();
    ids.iter().map(Uuid::to_string).collect()
}

/// Ends a consumer and asserts that it has had exactly the committed events, in this order. Returns them.
pub async fn complete(
    consumer: Consumer,
    pool: &PgPool,
    organization: &str,
    identity: Option<&str>,
) -> Vec<Event> {
    let at_least = committed(pool, organization, identity).await.len();
    let events = consumer.end().await;
    let committed = committed(pool, organization, identity).await;
    for (at, (event, expected)) in events.iter().zip(&committed).enumerate() {
        assert_eq!(event.id, *expected, "{organization} {identity:?}: event {at} of {}", committed.len());
    }
    let count = events.len();
    assert!((at_least..=committed.len()).contains(&count), "{count} of {at_least} to {}", committed.len());
    events
}
