//! Everything that can be listed and got, compared with what the model says it should be.

use std::fmt::Debug;

use inkbox_imessage::proto::{
    GetConversationRequest, GetMessageRequest, ListConnectionsRequest, ListContactRulesRequest,
    ListConversationsRequest, ListMessagesRequest, Message,
};

use crate::expect::{Scope, View};
use crate::step::Action;
use crate::support::assert_reason;
use crate::support::callers::Caller;
use crate::world::{Touched, World, pick};

/// More rows than a sequence makes.
const ALL_ROWS: Option<i32> = Some(200);
/// Rows on a page where a list is read page by page.
const PAGE: i32 = 17;

/// What is being compared, for the words of a failure.
#[derive(Clone, Copy)]
struct At<'a> {
    number: usize,
    action: &'a Action,
}

impl At<'_> {
    #[track_caller]
    fn same<T: PartialEq + Debug>(self, what: &str, service: &T, model: &T) {
        let Self { number, action } = self;
        assert!(
            service == model,
            "after step {number}, {action:?}: {what}\nservice: {service:#?}\n  model: {model:#?}"
        );
    }
}

/// Compares every list in each of its views and filters, and every get, as each kind of caller sees them: all lists of
/// the organization, those of each agent, and those of the conversation and message that the step touched.
pub async fn everything(world: &World, touched: Touched, number: usize, action: &Action) {
    let at = At { number, action };
    let model = &world.model;
    // Where a step touched no row, another one has its turn.
    let conversation = touched.conversation.or_else(|| pick(number, model.conversations.len()));
    let message = touched.message.or_else(|| pick(number, model.messages.len()));
    tokio::join!(
        conversations(world, at),
        connections_and_rules(world, at),
        messages(world, at, conversation),
        async {
            if let Some(conversation) = conversation {
                one_conversation(world, at, conversation).await;
            }
        },
        async {
            if let Some(message) = message {
                one_message(world, at, message).await;
            }
        },
    );
}

async fn conversations(world: &World, at: At<'_>) {
    let list = async |caller: &Caller, agent_identity_id: Option<String>, view: Option<bool>| {
        let request = ListConversationsRequest {
            agent_identity_id,
            limit: ALL_ROWS,
            is_blocked: view,
            ..Default::default()
        };
        caller.list_conversations(request).await
    };
    for view in View::EACH {
        let rows = list(&world.admin, None, view.asked()).await.unwrap().conversations;
        at.same("the admin's conversations", &rows, &world.model.conversation_list(None, view));
    }
    for (agent, row) in world.model.agents.iter().enumerate() {
        for view in View::EACH {
            let answer = list(&world.admin, Some(row.id.clone()), view.asked()).await;
            if row.enabled {
                let expected = world.model.conversation_list(Some(agent), view);
                at.same("an agent's, by admin", &answer.unwrap().conversations, &expected);
            } else {
                assert_reason(answer, "IDENTITY_NOT_ENABLED");
            }
        }
        let rows = list(&world.agents[agent], None, None).await.unwrap().conversations;
        at.same("an agent's conversations", &rows, &world.model.conversation_list(Some(agent), View::Clear));
        let rows = list(&world.agents[agent], None, Some(true)).await.unwrap().conversations;
        at.same("blocked ones, to an agent", &rows, &Vec::new());
    }
}

async fn connections_and_rules(world: &World, at: At<'_>) {
    let callers = [(&world.admin, None), (&world.agents[0], Some(0)), (&world.agents[1], Some(1))];
    for (caller, of) in callers {
        let request = ListConnectionsRequest { limit: ALL_ROWS, ..Default::default() };
        let rows = caller.list_connections(request).await.unwrap().connections;
        at.same("connections", &rows, &world.model.connection_list(of));
        let request = ListContactRulesRequest { limit: ALL_ROWS, ..Default::default() };
        let rows = caller.list_contact_rules(request).await.unwrap().contact_rules;
        at.same("contact rules", &rows, &world.model.rule_list(of));
    }
}

async fn one_conversation(world: &World, at: At<'_>, place: usize) {
    let model = &world.model;
    let (id, agent) = (&model.conversations[place].id, model.conversations[place].agent);
    let request = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
    for caller in [&world.admin, &world.agents[agent]] {
        let row = caller.get_conversation(request.clone()).await.unwrap().conversation.unwrap();
        at.same("the conversation", &row, &model.conversation_row(place));
    }
    assert_reason(world.agents[1 - agent].get_conversation(request).await, "NOT_FOUND");
}

async fn one_message(world: &World, at: At<'_>, place: usize) {
    let model = &world.model;
    let message = &model.messages[place];
    let agent = model.conversations[message.conversation].agent;
    let request = GetMessageRequest { message_id: message.id.clone(), agent_identity_id: None };
    let callers =
        [(&world.admin, true), (&world.agents[agent], !message.blocked), (&world.agents[1 - agent], false)];
    for (caller, sees) in callers {
        let answer = caller.get_message(request.clone()).await;
        if sees {
            at.same("the message", &answer.unwrap().message.unwrap(), &model.message_row(place));
        } else {
            assert_reason(answer, "NOT_FOUND");
        }
    }
}

/// Each view with each `is_read`, in every scope; the organization's list page by page once a step.
async fn messages(world: &World, at: At<'_>, conversation: Option<usize>) {
    let model = &world.model;
    let mut turn = 0;
    for view in View::EACH {
        for is_read in [Some(false), None, Some(true)] {
            let request = ListMessagesRequest {
                limit: ALL_ROWS,
                is_read,
                is_blocked: view.asked(),
                ..Default::default()
            };
            let same = |scope: Scope, view: View, rows: &Vec<Message>| {
                let what = format!("messages of {scope:?}, {view:?}, is_read {is_read:?}");
                at.same(&what, rows, &model.message_list(scope, view, is_read));
            };
            let rows = if at.number % 9 == turn {
                page_by_page(&world.admin, request.clone()).await
            } else {
                world.admin.list_messages(request.clone()).await.unwrap().messages
            };
            same(Scope::Organization, view, &rows);
            for (agent, row) in model.agents.iter().enumerate() {
                let agent_identity_id = Some(row.id.clone());
                let request = ListMessagesRequest { agent_identity_id, ..request.clone() };
                let rows = world.admin.list_messages(request).await.unwrap().messages;
                same(Scope::Agent(agent), view, &rows);
            }
            if let Some(conversation) = conversation {
                let conversation_id = Some(model.conversations[conversation].id.clone());
                let request = ListMessagesRequest { conversation_id, ..request.clone() };
                let rows = world.admin.list_messages(request).await.unwrap().messages;
                same(Scope::Conversation(conversation), view, &rows);
            }
            turn += 1;
        }
    }
    for is_read in [Some(false), None, Some(true)] {
        for (agent, caller) in world.agents.iter().enumerate() {
            let request = ListMessagesRequest { limit: ALL_ROWS, is_read, ..Default::default() };
            let rows = caller.list_messages(request).await.unwrap().messages;
            let expected = model.message_list(Scope::Agent(agent), View::Clear, is_read);
            at.same("an agent's messages", &rows, &expected);
        }
    }
}

async fn page_by_page(caller: &Caller, request: ListMessagesRequest) -> Vec<Message> {
    let mut request = ListMessagesRequest { limit: Some(PAGE), ..request };
    let mut rows = Vec::new();
    loop {
        let page = caller.list_messages(request.clone()).await.unwrap();
        rows.extend(page.messages);
        if page.next_page_token.is_empty() {
            return rows;
        }
        request.page_token = page.next_page_token;
    }
}
