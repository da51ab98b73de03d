//! What the events say adds up to what the lists show.

use std::collections::BTreeMap;

use inkbox_imessage::proto::{
    EventType, ListConnectionsRequest, ListConversationsRequest, ListEventsRequest,
};

use crate::model::world::World;
use crate::support::callers::Caller;

/// The sums of an agent's events.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    /// Unread messages of each conversation that has some.
    unread: BTreeMap<String, i32>,
    /// Humans who are connected.
    connected: BTreeMap<String, i32>,
}

/// Asserts it for every agent, with the agent's own key.
pub async fn add_up(world: &World) {
    for own in &world.agents {
        let mut sums = Sums::default();
        let mut request = ListEventsRequest { limit: Some(200), ..Default::default() };
        loop {
            let page = own.next().list_events(request.clone()).await.unwrap();
            if page.events.is_empty() {
                break;
            }
            request.after = page.cursor;
            for event in page.events {
                let of_conversation = event.conversation_id.clone().unwrap_or_default();
                match event.r#type() {
                    EventType::MessageReceived => *sums.unread.entry(of_conversation).or_default() += 1,
                    EventType::ConversationRead => {
                        let read = event.read_state.unwrap();
                        let unread = sums.unread.entry(of_conversation).or_default();
                        *unread -= read.updated_count;
                        assert_eq!(*unread, read.unread_count, "the counts of an event");
                    }
                    EventType::ConnectionOpened => {
                        *sums.connected.entry(event.remote_number).or_default() += 1;
                    }
                    EventType::ConnectionReleased => {
                        *sums.connected.entry(event.remote_number).or_default() -= 1;
                    }
                    _ => {}
                }
            }
        }
        sums.unread.retain(|_, count| *count != 0);
        sums.connected.retain(|_, count| *count != 0);
        assert_eq!(sums, listed(own.next()).await, "events and lists");
    }
}

async fn listed(own: &Caller) -> Sums {
    let conversations = ListConversationsRequest { limit: Some(200), ..Default::default() };
    let conversations = own.list_conversations(conversations).await.unwrap().conversations;
    let connections = ListConnectionsRequest { limit: Some(200), ..Default::default() };
    let connections = own.list_connections(connections).await.unwrap().connections;
    let unread = conversations.into_iter().filter(|row| row.unread_count != 0);
    Sums {
        unread: unread.map(|row| (row.id, row.unread_count)).collect(),
        connected: connections.into_iter().map(|row| (row.remote_number, 1)).collect(),
    }
}
