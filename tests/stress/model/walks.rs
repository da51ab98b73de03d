//! Lists that are read a page a step, from page token to page token, while what they list moves: a page shows what comes
//! after the last row of the page before it as that stood when it was shown, neither less nor more.

use std::fmt::Debug;

use inkbox_imessage::proto::{ListConnectionsRequest, ListConversationsRequest, ListMessagesRequest};
use prost_types::Timestamp;

use crate::model::expect::{Scope, View};
use crate::model::world::World;

/// Rows of a page.
const PAGE: usize = 2;

/// Where a row stands in its list, which is shown from the greatest on.
type Place = (i64, i32, String);

#[derive(Debug, Clone, Copy)]
enum List {
    Conversations,
    Messages,
    Connections,
}

/// A list on its way.
#[derive(Debug)]
pub struct Walk {
    list: List,
    organization: usize,
    /// The last row that was shown, and the token of the page after it; nothing at a beginning.
    reached: Option<(Place, String)>,
}

fn place(at: Option<Timestamp>, id: &str) -> Place {
    let at = at.expect("a time");
    (at.seconds, at.nanos, id.to_owned())
}

impl Walk {
    pub fn of_organization(organization: usize) -> [Self; 3] {
        let lists = [List::Conversations, List::Messages, List::Connections];
        lists.map(|list| Self { list, organization, reached: None })
    }

    /// Compares a page with what the list has at that place now.
    fn shown<R: PartialEq + Debug>(
        &mut self,
        (page, next): (Vec<R>, String),
        list: Vec<R>,
        place_of: impl Fn(&R) -> Place,
    ) {
        let is_next = |row: &R| self.reached.as_ref().is_none_or(|(last, _)| place_of(row) < *last);
        let mut expected: Vec<_> = list.into_iter().filter(is_next).collect();
        let is_last = expected.len() <= PAGE;
        expected.truncate(PAGE);
        assert!(page == expected, "{self:?}\nservice: {page:#?}\n  model: {expected:#?}");
        assert_eq!(next.is_empty(), is_last, "{self:?}: whether there is a next page");
        self.reached = page.last().filter(|_| !is_last).map(|row| (place_of(row), next));
    }
}

/// Reads one page of one of the lists.
pub async fn go_on(world: &mut World, number: usize) {
    let turn = number % world.walks.len();
    let walk = &mut world.walks[turn];
    let admin = world.admins[walk.organization].next();
    let page_token = walk.reached.as_ref().map(|(_, token)| token.clone()).unwrap_or_default();
    let limit = Some(i32::try_from(PAGE).unwrap());
    let (model, scope) = (&world.model, Scope::Organization(walk.organization));
    match walk.list {
        List::Conversations => {
            let request = ListConversationsRequest { limit, page_token, ..Default::default() };
            let page = admin.list_conversations(request).await.unwrap();
            let list = model.conversation_list(scope, View::All);
            let place_of =
                |row: &inkbox_imessage::proto::ConversationSummary| place(row.latest_message_at, &row.id);
            walk.shown((page.conversations, page.next_page_token), list, place_of);
        }
        List::Messages => {
            let request = ListMessagesRequest { limit, page_token, ..Default::default() };
            let page = admin.list_messages(request).await.unwrap();
            let list = model.message_list(scope, View::All, None);
            let place_of = |row: &inkbox_imessage::proto::Message| place(row.created_at, &row.id);
            walk.shown((page.messages, page.next_page_token), list, place_of);
        }
        List::Connections => {
            let request = ListConnectionsRequest { limit, page_token, ..Default::default() };
            let page = admin.list_connections(request).await.unwrap();
            let list = model.connection_list(scope);
            let place_of = |row: &inkbox_imessage::proto::Connection| place(row.created_at, &row.id);
            walk.shown((page.connections, page.next_page_token), list, place_of);
        }
    }
}
