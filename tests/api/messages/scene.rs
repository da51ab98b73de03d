//! Messages of every kind, spread over identities and conversations, each named for what it is.

use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    Identity, ListMessagesRequest, MarkConversationReadRequest, Message, ReceiveMessageRequest,
};
use prost_types::Timestamp;

use super::send;
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, rows};

/// Who talks to whom: identity and human.
const PAIRS: [(usize, &str); 4] =
    [(0, "+15551230001"), (0, "+15551230002"), (1, "+15551230001"), (1, "+15551230003")];

/// Two identities with two conversations each, six messages in each of these.
pub(super) struct Scene {
    pub(super) app: TestApp,
    pub(super) admin: Caller,
    pub(super) identities: [Identity; 2],
    pub(super) agents: [Caller; 2],
    pub(super) conversations: Vec<String>,
}

impl Scene {
    pub(super) async fn set() -> Self {
        let app = TestApp::start().await;
        let identities = [app.identity("org_a").await, app.identity("org_a").await];
        let agents = [app.agent(&identities[0]).await, app.agent(&identities[1]).await];
        let mut conversations = Vec::new();
        let mut threads = Vec::new();
        for (c, (i, number)) in PAIRS.into_iter().enumerate() {
            let human = Human::new(&app, number).await;
            let thread = human.connects(&identities[i]).await;
            let first = human.says(&thread, &format!("i{i} c{c} seen 1")).await;
            human.says(&thread, &format!("i{i} c{c} seen 2")).await;
            let conversation_id = first.conversation_id.unwrap();
            let mark = MarkConversationReadRequest {
                conversation_id: conversation_id.clone(),
                ..Default::default()
            };
            agents[i].mark_conversation_read(mark).await.unwrap();
            conversations.push(conversation_id);
            threads.push((human, thread));
        }
        for (c, (human, thread)) in threads.iter().enumerate() {
            let (i, number) = PAIRS[c];
            rows::block(&app.pool, &identities[i], number).await;
            human.says(thread, &format!("i{i} c{c} blocked 3")).await;
            rows::remove_rules(&app.pool, &identities[i]).await;
        }
        for (c, (human, thread)) in threads.iter().enumerate() {
            let i = PAIRS[c].0;
            send(&agents[i], &conversations[c], &format!("i{i} c{c} sent 4")).await;
            human.says(thread, &format!("i{i} c{c} new 5")).await;
        }
        for (c, (human, thread)) in threads.iter().enumerate() {
            let i = PAIRS[c].0;
            let at = app.clock.now() - TimeDelta::hours(1);
            let late = ReceiveMessageRequest {
                sent_at: Some(Timestamp { seconds: at.timestamp(), nanos: 0 }),
                ..human.text(&thread.line, &format!("i{i} c{c} new 6"))
            };
            human.router.receive_message(late).await.unwrap();
        }
        let admin = app.admin("org_a").await;
        Self { app, admin, identities, agents, conversations }
    }

    /// Every scope that an admin key can ask for, with the beginning of its messages' names.
    pub(super) fn scopes_of_admin(&self) -> Vec<(ListMessagesRequest, String)> {
        let mut scopes = vec![(ListMessagesRequest::default(), String::new())];
        for (i, identity) in self.identities.iter().enumerate() {
            let request =
                ListMessagesRequest { agent_identity_id: Some(identity.id.clone()), ..Default::default() };
            scopes.push((request, format!("i{i} ")));
        }
        for (c, id) in self.conversations.iter().enumerate() {
            let i = PAIRS[c].0;
            let alone = ListMessagesRequest { conversation_id: Some(id.clone()), ..Default::default() };
            let both = ListMessagesRequest {
                agent_identity_id: Some(self.identities[i].id.clone()),
                ..alone.clone()
            };
            scopes.push((alone, format!("i{i} c{c} ")));
            scopes.push((both, format!("i{i} c{c} ")));
        }
        scopes
    }

    /// The same for the identity key of the first identity.
    pub(super) fn scopes_of_agent(&self) -> Vec<(ListMessagesRequest, String)> {
        let own = ListMessagesRequest {
            agent_identity_id: Some(self.identities[0].id.clone()),
            ..Default::default()
        };
        let conversation = ListMessagesRequest {
            conversation_id: Some(self.conversations[1].clone()),
            ..Default::default()
        };
        vec![
            (ListMessagesRequest::default(), "i0 ".to_owned()),
            (own, "i0 ".to_owned()),
            (conversation, "i0 c1 ".to_owned()),
        ]
    }
}

/// Every pair of `is_blocked` and `is_read`.
pub(super) fn filters() -> impl Iterator<Item = (Option<bool>, Option<bool>)> {
    let three = [None, Some(true), Some(false)];
    three.into_iter().flat_map(move |is_blocked| three.into_iter().map(move |is_read| (is_blocked, is_read)))
}

/// Whether a message of this name is one that the filters show to an admin key.
pub(super) fn shows(name: &str, is_blocked: Option<bool>, is_read: Option<bool>) -> bool {
    let blocked = name.contains("blocked");
    let read = name.contains("seen") || name.contains("sent");
    is_blocked.is_none_or(|wanted| wanted == blocked) && is_read.is_none_or(|wanted| wanted == read)
}

/// Place in time, then id.
pub(super) fn place(message: &Message) -> (i64, i32, &str) {
    let at = message.created_at.as_ref().unwrap();
    (at.seconds, at.nanos, &message.id)
}
