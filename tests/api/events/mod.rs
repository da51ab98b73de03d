mod cursors;
mod limits;
mod list;
mod stream_ends;
mod types;
mod views;
mod watch;

use inkbox_imessage::proto::{Event, EventType, ListEventsRequest, ListEventsResponse};

use crate::support::callers::Caller;

/// The oldest events that are kept.
pub(crate) async fn listed(caller: &Caller) -> Vec<Event> {
    page(caller, ListEventsRequest { limit: Some(200), ..Default::default() }).await.events
}

async fn page(caller: &Caller, request: ListEventsRequest) -> ListEventsResponse {
    caller.list_events(request).await.unwrap()
}

fn types(events: &[Event]) -> Vec<EventType> {
    events.iter().map(Event::r#type).collect()
}

/// The texts of the messages of events.
fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.message.as_ref().unwrap().text.as_deref().unwrap_or_default()).collect()
}
