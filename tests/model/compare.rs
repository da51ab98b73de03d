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
/// The wider lists of messages are compared after every so many steps.
const EVERY: usize = 5;
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

/// Compares with every step: the conversations as the admin and the agent that is concerned see them, and the
/// conversation and the message that the step touched. What else there is takes turns, since calls are what a step
/// costs; a difference stays and is found when its turn comes.
pub async fn everything(world: &World, touched: Touched, number: usize, action: &Action) {
    let at = At { number, action };
    let model = &world.model;
    // Where a step touched no row, another one has its turn.
    let conversation = touched.conversation.or_else(|| pick(number, model.conversations.len()));
    let message = touched.message.or_else(|| pick(number, model.messages.len()));
    let agent = conversation.map_or(number % 2, |at| model.conversations[at].agent);
    tokio::join!(
        conversations(world, at, agent),
        connections_or_rules(world, at),
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
        async {
            if number % EVERY == EVERY - 1 {
                messages_far_and_wide(world, at, number / EVERY + world.case).await;
            }
        },
    );
}

async fn conversations(world: &World, at: At<'_>, agent: usize) {
    let list = async |caller: &Caller, agent_identity_id: Option<String>, view: Option<bool>| {
        let request = ListConversationsRequest {
            agent_identity_id,
            limit: ALL_ROWS,
            is_blocked: view,
            ..Default::default()
        };
        caller.list_conversations(request).await
    };
    let of_admin = async |view: View| {
        let rows = list(&world.admin, None, view.asked()).await.unwrap().conversations;
        at.same("the admin's conversations", &rows, &world.model.conversation_list(None, view));
    };
    let of_agent = async |agent: usize| {
        let expected = world.model.conversation_list(Some(agent), View::Clear);
        let rows = list(&world.agents[agent], None, None).await.unwrap().conversations;
        at.same("an agent's conversations", &rows, &expected);
    };
    let by_admin = async |agent: usize, view: View| {
        let row = &world.model.agents[agent];
        let answer = list(&world.admin, Some(row.id.clone()), view.asked()).await;
        if row.enabled {
            let expected = world.model.conversation_list(Some(agent), view);
            at.same("an agent's, by admin", &answer.unwrap().conversations, &expected);
        } else {
            assert_reason(answer, "IDENTITY_NOT_ENABLED");
        }
    };
    let [all, clear, blocked] = View::EACH;
    tokio::join!(of_admin(all), of_admin(clear), of_admin(blocked), of_agent(agent), async {
        match at.number % (2 * EVERY) {
            0 => by_admin(agent, all).await,
            2 => by_admin(agent, clear).await,
            4 => by_admin(agent, blocked).await,
            6 => of_agent(1 - agent).await,
            8 => {
                let rows = list(&world.agents[agent], None, Some(true)).await.unwrap().conversations;
                at.same("blocked ones, to an agent", &rows, &Vec::new());
            }
            _ => {}
        }
    });
}

async fn connections_or_rules(world: &World, at: At<'_>) {
    let (model, turn) = (&world.model, at.number % 6);
    let (caller, of) = match turn {
        0..4 => (&world.admin, None),
        turn => (&world.agents[turn - 4], Some(turn - 4)),
    };
    let is_about_rules = matches!(
        at.action,
        Action::CreateRule { .. } | Action::ChangeRule { .. } | Action::DeleteRule { .. }
    );
    if is_about_rules || at.number.is_multiple_of(7) {
        let request = ListContactRulesRequest { limit: ALL_ROWS, ..Default::default() };
        let rows = caller.list_contact_rules(request).await.unwrap().contact_rules;
        at.same("contact rules", &rows, &model.rule_list(of));
    } else {
        let request = ListConnectionsRequest { limit: ALL_ROWS, ..Default::default() };
        let rows = caller.list_connections(request).await.unwrap().connections;
        at.same("connections", &rows, &model.connection_list(of));
    }
}

async fn one_conversation(world: &World, at: At<'_>, place: usize) {
    let model = &world.model;
    let (id, agent) = (&model.conversations[place].id, model.conversations[place].agent);
    let get = async {
        let request = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
        let expected = model.conversation_row(place);
        let caller = match at.number % 4 {
            0 => &world.admin,
            3 => {
                let answer = world.agents[1 - agent].get_conversation(request).await;
                return drop(assert_reason(answer, "NOT_FOUND"));
            }
            _ => &world.agents[agent],
        };
        let row = caller.get_conversation(request).await.unwrap().conversation.unwrap();
        at.same("the conversation", &row, &expected);
    };
    let list = async |caller: &Caller, view: View, asked: Option<bool>| {
        let request = ListMessagesRequest {
            conversation_id: Some(id.clone()),
            limit: ALL_ROWS,
            is_blocked: asked,
            ..Default::default()
        };
        let rows = caller.list_messages(request).await.unwrap().messages;
        let expected = model.message_list(Scope::Conversation(place), view, None);
        at.same("the conversation's messages", &rows, &expected);
    };
    tokio::join!(get, list(&world.admin, View::All, None), async {
        match at.number % 6 {
            1 => list(&world.admin, View::Clear, Some(false)).await,
            3 => list(&world.admin, View::Blocked, Some(true)).await,
            5 => list(&world.agents[agent], View::Clear, None).await,
            _ => {}
        }
    });
}

async fn one_message(world: &World, at: At<'_>, place: usize) {
    let model = &world.model;
    let message = &model.messages[place];
    let agent = model.conversations[message.conversation].agent;
    let request = GetMessageRequest { message_id: message.id.clone(), agent_identity_id: None };
    let (caller, sees) = match at.number % 4 {
        0 | 2 => (&world.admin, true),
        1 => (&world.agents[agent], !message.blocked),
        _ => (&world.agents[1 - agent], false),
    };
    let answer = caller.get_message(request).await;
    if sees {
        at.same("the message", &answer.unwrap().message.unwrap(), &model.message_row(place));
    } else {
        assert_reason(answer, "NOT_FOUND");
    }
}

/// One view and one `is_read` at a time, in every scope; the organization's list page by page.
async fn messages_far_and_wide(world: &World, at: At<'_>, turn: usize) {
    let model = &world.model;
    let (view, is_read) = (View::EACH[turn % 3], [Some(false), None, Some(true)][turn / 3 % 3]);
    let (agent, conversation) = (turn % 2, pick(turn, model.conversations.len()));
    let request =
        ListMessagesRequest { limit: ALL_ROWS, is_read, is_blocked: view.asked(), ..Default::default() };
    let same = |scope: Scope, view: View, rows: &Vec<Message>| {
        let what = format!("messages of {scope:?}, {view:?}, is_read {is_read:?}");
        at.same(&what, rows, &model.message_list(scope, view, is_read));
    };
    tokio::join!(
        async {
            let rows = page_by_page(&world.admin, request.clone()).await;
            same(Scope::Organization, view, &rows);
        },
        async {
            let agent_identity_id = Some(model.agents[agent].id.clone());
            let request = ListMessagesRequest { agent_identity_id, ..request.clone() };
            let rows = world.admin.list_messages(request).await.unwrap().messages;
            same(Scope::Agent(agent), view, &rows);
        },
        async {
            let request = ListMessagesRequest { is_blocked: None, ..request.clone() };
            let rows = world.agents[agent].list_messages(request).await.unwrap().messages;
            same(Scope::Agent(agent), View::Clear, &rows);
        },
        async {
            let Some(conversation) = conversation else { return };
            let conversation_id = Some(model.conversations[conversation].id.clone());
            let request = ListMessagesRequest { conversation_id, ..request.clone() };
            let rows = world.admin.list_messages(request).await.unwrap().messages;
            same(Scope::Conversation(conversation), view, &rows);
        },
    );
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
