//! A client that watches events.

use inkbox_imessage::proto::event_service_client::EventServiceClient;
use inkbox_imessage::proto::watch_events_response::Kind;
use inkbox_imessage::proto::{Event, WatchEventsRequest, WatchEventsResponse};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::PATIENCE;
use super::callers::Caller;

/// An open stream. The starting heartbeat has arrived.
pub struct Watcher {
    pub stream: Streaming<WatchEventsResponse>,
    /// The last cursor that arrived.
    pub cursor: String,
}

impl Watcher {
    /// Watches everything from now on.
    pub async fn start(caller: &Caller) -> Self {
        Self::open(caller, WatchEventsRequest::default()).await.unwrap()
    }

    pub async fn open(caller: &Caller, request: WatchEventsRequest) -> Result<Self, Status> {
        let mut client = EventServiceClient::new(caller.channel.clone());
        let mut stream = client.watch_events(caller.request(request)).await?.into_inner();
        let first = timeout(PATIENCE, stream.message()).await.expect("a heartbeat in time")?;
        let Some(WatchEventsResponse { kind: Some(Kind::Heartbeat(heartbeat)) }) = first else {
            panic!("not a heartbeat: {first:?}");
        };
        Ok(Self { stream, cursor: heartbeat.cursor })
    }

    /// The next event, or the status with which the stream ends.
    pub async fn next(&mut self) -> Result<Event, Status> {
        loop {
            let message = timeout(PATIENCE, self.stream.message()).await.expect("an event in time")?;
            match message.expect("a stream ends with a status").kind.expect("a kind") {
                Kind::Event(event) => {
                    self.cursor.clone_from(&event.cursor);
                    return Ok(event);
                }
                Kind::Heartbeat(heartbeat) => self.cursor = heartbeat.cursor,
            }
        }
    }

    /// The next events.
    pub async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.next().await.unwrap());
        }
        events
    }

    /// The status with which the stream ends, after any further events.
    pub async fn end(&mut self) -> (Vec<Event>, Status) {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                Ok(event) => events.push(event),
                Err(status) => return (events, status),
            }
        }
    }
}
