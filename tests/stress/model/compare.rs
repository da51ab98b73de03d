//! Everything that can be listed and got, compared with what the model says it should be.

use std::fmt::Debug;

use inkbox_imessage::proto::{
    FilterMode, GetContactRuleRequest, GetConversationRequest, GetIdentityRequest, GetMessageRequest,
    ListConnectionsRequest, ListContactRulesRequest, ListConversationsRequest, ListIdentitiesRequest,
    ListMessagesRequest, Message,
};

use crate::model::expect::{Scope, View};
use crate::model::state::organization_of;
use crate::model::step::{AGENTS, Action, Who};
use crate::model::world::{Touched, World, pick};
use crate::support::assert_reason;
use crate::support::callers::Caller;

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

/// How often both organizations are looked at: one that a step has nothing to do with must not have changed.
const BOTH: usize = 8;

/// Compares every list in each of its views and filters, and every get, as each kind of caller sees them: all lists of
/// the organization, those of each of its agents, and those of the conversation and message that the step touched.
pub async fn everything(world: &World, touched: Touched, number: usize, action: &Action) {
    let at = At { number, action };
    let model = &world.model;
    // Where a step touched no row, another one has its turn.
    let conversation = touched.conversation.or_else(|| pick(number, model.conversations.len()));
    let message = touched.message.or_else(|| pick(number, model.messages.len()));
    for organization in 0..model.organizations.len() {
        let is_touched = touched.agent.is_none_or(|agent| organization_of(agent) == organization);
        if !is_touched && !number.is_multiple_of(BOTH) {
            continue;
        }
        let of_it = |place: &usize| organization_of(model.conversations[*place].agent) == organization;
        tokio::join!(
            conversations(world, at, organization),
            connections_and_rules(world, at, organization),
            messages(world, at, organization, conversation.filter(of_it)),
        );
    }
    if let Some(conversation) = conversation {
        one_conversation(world, at, conversation).await;
    }
    if let Some(message) = message {
        one_message(world, at, message).await;
    }
    identities(world, at).await;
}

/// The agents of an organization.
fn agents_of(organization: usize) -> impl Iterator<Item = usize> {
    (0..AGENTS).filter(move |agent| organization_of(*agent) == organization)
}

async fn conversations(world: &World, at: At<'_>, organization: usize) {
    let list = async |caller: &Caller, agent_identity_id: Option<String>, view: Option<bool>| {
        let request = ListConversationsRequest {
            agent_identity_id,
            limit: ALL_ROWS,
            is_blocked: view,
            ..Default::default()
        };
        caller.list_conversations(request).await
    };
    let (model, admin) = (&world.model, &world.admins[organization]);
    for view in View::EACH {
        let rows = list(admin.next(), None, view.asked()).await.unwrap().conversations;
        let expected = model.conversation_list(Scope::Organization(organization), view);
        at.same("the admin's conversations", &rows, &expected);
    }
    for agent in agents_of(organization) {
        let row = &model.agents[agent];
        for view in View::EACH {
            let answer = list(admin.next(), Some(row.id.clone()), view.asked()).await;
            if row.enabled {
                let expected = model.conversation_list(Scope::Agent(agent), view);
                at.same("an agent's, by admin", &answer.unwrap().conversations, &expected);
            } else {
                assert_reason(answer, "IDENTITY_NOT_ENABLED");
            }
        }
        let own = &world.agents[agent];
        let rows = list(own.next(), None, None).await.unwrap().conversations;
        let expected = model.conversation_list(Scope::Agent(agent), View::Clear);
        at.same("an agent's conversations", &rows, &expected);
        let rows = list(own.next(), None, Some(true)).await.unwrap().conversations;
        at.same("blocked ones, to an agent", &rows, &Vec::new());
    }
}

async fn connections_and_rules(world: &World, at: At<'_>, organization: usize) {
    let of_agents = agents_of(organization).map(|agent| (&world.agents[agent], Scope::Agent(agent)));
    let of_admin = (&world.admins[organization], Scope::Organization(organization));
    for (callers, scope) in of_agents.chain([of_admin]) {
        let request = ListConnectionsRequest { limit: ALL_ROWS, ..Default::default() };
        let rows = callers.next().list_connections(request).await.unwrap().connections;
        at.same("connections", &rows, &world.model.connection_list(scope));
        let request = ListContactRulesRequest { limit: ALL_ROWS, ..Default::default() };
        let rows = callers.next().list_contact_rules(request).await.unwrap().contact_rules;
        at.same("contact rules", &rows, &world.model.rule_list(scope));
    }
}

async fn one_conversation(world: &World, at: At<'_>, place: usize) {
    let model = &world.model;
    let (id, agent) = (&model.conversations[place].id, model.conversations[place].agent);
    let request = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
    for who in [Who::Admin, Who::Own] {
        let answer = world.caller(who, agent).get_conversation(request.clone()).await;
        at.same("the conversation", &answer.unwrap().conversation.unwrap(), &model.conversation_row(place));
    }
    for who in [Who::Other, Who::Foreign] {
        assert_reason(world.caller(who, agent).get_conversation(request.clone()).await, "NOT_FOUND");
    }
}

async fn one_message(world: &World, at: At<'_>, place: usize) {
    let model = &world.model;
    let message = &model.messages[place];
    let agent = model.conversations[message.conversation].agent;
    let request = GetMessageRequest { message_id: message.id.clone(), agent_identity_id: None };
    let callers =
        [(Who::Admin, true), (Who::Own, !message.blocked), (Who::Other, false), (Who::Foreign, false)];
    for (who, sees) in callers {
        let answer = world.caller(who, agent).get_message(request.clone()).await;
        if sees {
            at.same("the message", &answer.unwrap().message.unwrap(), &model.message_row(place));
        } else {
            assert_reason(answer, "NOT_FOUND");
        }
    }
}

/// One agent's identity as it is set, one rule, and which identities there are at all.
async fn identities(world: &World, at: At<'_>) {
    let model = &world.model;
    let agent = at.number % AGENTS;
    let row = &model.agents[agent];
    let request = GetIdentityRequest { identity_id: row.id.clone(), ..Default::default() };
    for who in [Who::Admin, Who::Own] {
        let identity =
            world.caller(who, agent).get_identity(request.clone()).await.unwrap().identity.unwrap();
        let is_whitelist = identity.filter_mode() == FilterMode::Whitelist;
        let shown = (&identity.agent_handle, identity.imessage_enabled, is_whitelist);
        at.same("the identity", &shown, &(&row.handle, row.enabled, row.whitelist));
    }
    for who in [Who::Other, Who::Foreign] {
        assert_reason(world.caller(who, agent).get_identity(request.clone()).await, "NOT_FOUND");
    }
    let request = ListIdentitiesRequest { limit: ALL_ROWS, ..Default::default() };
    let rows = world.caller(Who::Admin, agent).list_identities(request).await.unwrap().identities;
    let mut listed: Vec<_> = rows.into_iter().map(|identity| identity.id).collect();
    let mut expected: Vec<_> =
        agents_of(organization_of(agent)).map(|agent| model.agents[agent].id.clone()).collect();
    listed.sort();
    expected.sort();
    at.same("identities", &listed, &expected);

    let Some(place) = pick(at.number, model.rules.len()) else { return };
    let (id, agent) = (&model.rules[place].id, model.rules[place].agent);
    let request = GetContactRuleRequest { contact_rule_id: id.clone() };
    for who in [Who::Admin, Who::Own] {
        let answer = world.caller(who, agent).get_contact_rule(request.clone()).await;
        at.same("the rule", &answer.unwrap().contact_rule.unwrap(), &model.rule_row(place));
    }
    for who in [Who::Other, Who::Foreign] {
        assert_reason(world.caller(who, agent).get_contact_rule(request.clone()).await, "NOT_FOUND");
    }
}

/// Each view with each `is_read`, in every scope; the organization's list page by page once a step.
async fn messages(world: &World, at: At<'_>, organization: usize, conversation: Option<usize>) {
    let (model, admin) = (&world.model, &world.admins[organization]);
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
                page_by_page(admin.next(), request.clone()).await
            } else {
                admin.next().list_messages(request.clone()).await.unwrap().messages
            };
            same(Scope::Organization(organization), view, &rows);
            for agent in agents_of(organization) {
                let agent_identity_id = Some(model.agents[agent].id.clone());
                let request = ListMessagesRequest { agent_identity_id, ..request.clone() };
                let rows = admin.next().list_messages(request).await.unwrap().messages;
                same(Scope::Agent(agent), view, &rows);
            }
            if let Some(conversation) = conversation {
                let conversation_id = Some(model.conversations[conversation].id.clone());
                let request = ListMessagesRequest { conversation_id, ..request.clone() };
                let rows = admin.next().list_messages(request).await.unwrap().messages;
                same(Scope::Conversation(conversation), view, &rows);
            }
            turn += 1;
        }
    }
    for is_read in [Some(false), None, Some(true)] {
        for agent in agents_of(organization) {
            let request = ListMessagesRequest { limit: ALL_ROWS, is_read, ..Default::default() };
            let rows = world.agents[agent].next().list_messages(request).await.unwrap().messages;
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
