//! A tenant with one of everything, in every state in which an answer could be another one.

use std::collections::BTreeMap;

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::*;

use crate::isolation::contract::Kind;
use crate::support::callers::Caller;
use crate::support::human::Thread;
use crate::support::{Human, TestApp};

/// The humans, the same ones for every tenant: each has a line for each. The first is connected and has texted.
pub const HUMANS: [&str; 4] = ["+15551230001", "+15551230002", "+15551230003", "+15551230004"];
/// The human whom the sandbox line refuses for good.
const REFUSES: &str = "+15005550005";

/// Something of a tenant's.
#[derive(Debug, Clone)]
pub struct Thing {
    /// What state it is in.
    pub state: &'static str,
    pub id: String,
}

/// One identity and its surroundings: another identity of its organization is another tenant to an identity key.
pub struct Tenant {
    pub identity: Identity,
    pub admin: Caller,
    pub agent: Caller,
    /// The first one of each kind is the liveliest.
    pub things: BTreeMap<Kind, Vec<Thing>>,
    /// Blocked messages, which the tenant's own identity key does not see.
    pub hidden: Vec<Thing>,
    /// Page tokens of each list, of the admin's and the agent's.
    pub tokens: BTreeMap<&'static str, Vec<Thing>>,
    /// The first human's thread, and what the carrier calls their text.
    pub thread: Thread,
    pub provider_id: String,
}

impl Tenant {
    /// The id of one that is whole and active.
    pub fn live(&self, kind: Kind) -> &str {
        &self.things[&kind][0].id
    }

    pub fn handle(&self) -> &str {
        &self.identity.agent_handle
    }

    /// Makes everything.
    pub async fn settle(app: &TestApp, organization: &'static str) -> Self {
        let identity = app.identity(organization).await;
        let off = app.identity(organization).await;
        let (admin, agent) = (app.admin(organization).await, app.agent(&identity).await);
        let mut making = Making { app, admin, agent, identity, off, things: BTreeMap::new() };
        let (thread, provider_id) = making.talk().await;
        let hidden = making.blocked().await;
        making.released_and_failed().await;
        making.switched_off().await;
        making.rules_and_keys().await;
        let tokens = making.tokens().await;
        let Making { admin, agent, identity, things, .. } = making;
        Self { identity, admin, agent, things, hidden, tokens, thread, provider_id }
    }
}

struct Making<'a> {
    app: &'a TestApp,
    admin: Caller,
    agent: Caller,
    identity: Identity,
    /// Another identity, whose iMessage is switched off in the end.
    off: Identity,
    things: BTreeMap<Kind, Vec<Thing>>,
}

impl Making<'_> {
    fn keep(&mut self, kind: Kind, state: &'static str, id: impl Into<String>) {
        self.things.entry(kind).or_default().push(Thing { state, id: id.into() });
    }

    async fn sends(&self, conversation_id: &str, key: &str) -> Result<Message, tonic::Status> {
        let request = SendMessageRequest {
            target: Some(Target::ConversationId(conversation_id.to_owned())),
            text: Some("hi".to_owned()),
            idempotency_key: Some(key.to_owned()),
            ..Default::default()
        };
        self.agent.send_message(request).await.map(|answer| answer.message.unwrap())
    }

    /// The first human: connected, has texted, was answered, with tapbacks of both sides. The second: connected and
    /// has texted, so that lists have two rows.
    async fn talk(&mut self) -> (Thread, String) {
        let human = Human::new(self.app, HUMANS[0]).await;
        let thread = human.connects(&self.identity).await;
        let text = human.text(&thread.line, "hello");
        let stored = human.router.receive_message(text.clone()).await.unwrap();
        let (message, conversation) = (stored.message_id.unwrap(), stored.conversation_id.unwrap());
        self.keep(Kind::Identity, "enabled", self.identity.id.clone());
        self.keep(Kind::Connection, "active", thread.connection_id.clone());
        self.keep(Kind::Conversation, "active", conversation.clone());
        self.keep(Kind::Message, "received", message.clone());
        let sent =
            self.sends(&conversation, &format!("key of {}", self.identity.agent_handle)).await.unwrap();
        self.keep(Kind::Message, "sent", sent.id.clone());
        for (reaction, state) in [(ReactionType::Love, "the agent's"), (ReactionType::Like, "removed")] {
            let part_index = reaction as i32;
            let request =
                SendReactionRequest { message_id: message.clone(), reaction: reaction.into(), part_index };
            let put = self.agent.send_reaction(request).await.unwrap().reaction.unwrap();
            self.keep(Kind::Reaction, state, put.id);
        }
        let removed = self.things[&Kind::Reaction][1].id.clone();
        self.agent.remove_reaction(RemoveReactionRequest { reaction_id: removed }).await.unwrap();
        let tapback = ReceiveReactionRequest {
            line_number: thread.line.clone(),
            remote_number: human.number.clone(),
            target_provider_message_id: sent.id,
            reaction: ReactionType::Laugh.into(),
            ..Default::default()
        };
        let tapback = human.router.receive_reaction(tapback).await.unwrap();
        self.keep(Kind::Reaction, "the human's", tapback.reaction_id.unwrap());
        Human::new(self.app, HUMANS[1]).await.converses(&self.identity, "hello").await;
        (thread, text.provider_message_id)
    }

    /// The third human: connected, blocked, then texts; so that the conversation has nothing but a blocked message.
    async fn blocked(&mut self) -> Vec<Thing> {
        let human = Human::new(self.app, HUMANS[2]).await;
        let thread = human.connects(&self.identity).await;
        let rule = CreateContactRuleRequest {
            agent_identity_id: Some(self.identity.id.clone()),
            action: ContactRuleAction::Block.into(),
            match_target: human.number.clone(),
        };
        let rule = self.admin.create_contact_rule(rule).await.unwrap().contact_rule.unwrap();
        let stored = human.says(&thread, "spam").await;
        assert_eq!(stored.outcome(), ReceiveOutcome::StoredBlocked);
        let message = stored.message_id.unwrap();
        self.keep(Kind::ContactRule, "active", rule.id);
        self.keep(Kind::Conversation, "of blocked messages", stored.conversation_id.unwrap());
        self.keep(Kind::Message, "blocked", message.clone());
        vec![Thing { state: "blocked", id: message }]
    }

    /// The fourth human has left; another one's phone refuses everything.
    async fn released_and_failed(&mut self) {
        let human = Human::new(self.app, HUMANS[3]).await;
        let thread = human.connects(&self.identity).await;
        let stored = human.says(&thread, "bye").await;
        human.disconnects(&self.identity).await;
        self.keep(Kind::Connection, "released", thread.connection_id);
        self.keep(Kind::Conversation, "released", stored.conversation_id.unwrap());
        self.keep(Kind::Message, "on a released connection", stored.message_id.unwrap());

        let refuses = Human::new(self.app, REFUSES).await;
        let (_, conversation) = refuses.converses(&self.identity, "hello").await;
        self.sends(&conversation, &format!("failing key of {}", self.identity.agent_handle))
            .await
            .unwrap_err();
        let request = ListMessagesRequest { conversation_id: Some(conversation), ..Default::default() };
        let mut messages = self.agent.list_messages(request).await.unwrap().messages;
        messages.retain(|message| message.status() == DeliveryStatus::Error);
        self.keep(Kind::Message, "failed", messages[0].id.clone());
    }

    /// An identity that had a conversation before it was switched off. Its human is its own, since a human has but
    /// three lines.
    async fn switched_off(&mut self) {
        let digits = self.off.id.bytes().filter(u8::is_ascii_digit).rev().take(7);
        let number = format!("+1556{}", String::from_utf8(digits.collect()).unwrap());
        let (thread, conversation) = Human::new(self.app, &number).await.converses(&self.off, "hello").await;
        let request =
            ListMessagesRequest { conversation_id: Some(conversation.clone()), ..Default::default() };
        let message = self.admin.list_messages(request).await.unwrap().messages.remove(0);
        let request = UpdateIdentityRequest {
            identity_id: self.off.id.clone(),
            imessage_enabled: Some(false),
            ..Default::default()
        };
        self.admin.update_identity(request).await.unwrap();
        self.keep(Kind::Identity, "switched off", self.off.id.clone());
        self.keep(Kind::Connection, "of an identity that is off", thread.connection_id);
        self.keep(Kind::Conversation, "of an identity that is off", conversation);
        self.keep(Kind::Message, "of an identity that is off", message.id);
    }

    async fn rules_and_keys(&mut self) {
        let rule = CreateContactRuleRequest {
            agent_identity_id: Some(self.identity.id.clone()),
            action: ContactRuleAction::Allow.into(),
            match_target: "+15557770000".to_owned(),
        };
        let paused = self.admin.create_contact_rule(rule).await.unwrap().contact_rule.unwrap().id;
        let request = UpdateContactRuleRequest {
            contact_rule_id: paused.clone(),
            status: ContactRuleStatus::Paused.into(),
            ..Default::default()
        };
        self.admin.update_contact_rule(request).await.unwrap();
        self.keep(Kind::ContactRule, "paused", paused);

        // Another admin key than the one that calls, which is to stay able to.
        let other = self.app.admin(&self.identity.organization_id).await;
        let make = async || {
            let request =
                CreateApiKeyRequest { agent_identity_id: self.identity.id.clone(), ..Default::default() };
            self.admin.create_api_key(request).await.unwrap().api_key.unwrap().id
        };
        let (works, revoked) = (make().await, make().await);
        self.admin.revoke_api_key(RevokeApiKeyRequest { api_key_id: revoked.clone() }).await.unwrap();
        let admins = other.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id;
        self.keep(Kind::ApiKey, "an identity's", works);
        self.keep(Kind::ApiKey, "an admin's", admins);
        self.keep(Kind::ApiKey, "revoked", revoked);
    }

    /// A token of every list that each key can read.
    async fn tokens(&self) -> BTreeMap<&'static str, Vec<Thing>> {
        let mut tokens = BTreeMap::<_, Vec<_>>::new();
        macro_rules! token_of {
            ($rpc:literal, $call:ident, $request:ident, $caller:ident, $state:literal) => {
                let request = $request { limit: Some(1), ..Default::default() };
                let token = self.$caller.$call(request).await.unwrap().next_page_token;
                assert!(!token.is_empty(), "{} has one page", $rpc);
                tokens.entry($rpc).or_default().push(Thing { state: $state, id: token });
            };
        }
        macro_rules! tokens_of {
            ($rpc:literal, $call:ident, $request:ident) => {
                token_of!($rpc, $call, $request, admin, "the admin's");
                token_of!($rpc, $call, $request, agent, "the agent's");
            };
        }
        tokens_of!("ConversationService/ListConversations", list_conversations, ListConversationsRequest);
        tokens_of!("ConnectionService/ListConnections", list_connections, ListConnectionsRequest);
        tokens_of!("MessageService/ListMessages", list_messages, ListMessagesRequest);
        tokens_of!("ContactRuleService/ListContactRules", list_contact_rules, ListContactRulesRequest);
        token_of!(
            "IdentityService/ListIdentities",
            list_identities,
            ListIdentitiesRequest,
            admin,
            "the admin's"
        );
        token_of!("ApiKeyService/ListApiKeys", list_api_keys, ListApiKeysRequest, admin, "the admin's");
        token_of!(
            "SandboxService/ListDeliveries",
            list_deliveries,
            ListDeliveriesRequest,
            admin,
            "the admin's"
        );
        tokens
    }
}
