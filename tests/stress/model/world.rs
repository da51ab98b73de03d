//! Two organizations of two agents each, with three humans around them, in two replicas of the service and in the model.

use std::sync::Arc;

use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::proto::{Media, ReleaseConnectionRequest};
use tonic::Status;
use uuid::Uuid;

use crate::model::keys::Key;
use crate::model::replicas::{InTurn, Replicas};
use crate::model::state::{Agent, Model, Reason, colleague_of, organization_of};
use crate::model::step::{AGENTS, Action, Body, Pair, Who};
use crate::model::walks::Walk;
use crate::support::assert_reason;
use crate::support::callers::Caller;
use crate::support::clock::TestClock;

pub struct World {
    pub case: usize,
    /// Of each organization.
    pub admins: Vec<InTurn>,
    /// With the newest key of each agent.
    pub agents: Vec<InTurn>,
    pub router: InTurn,
    pub clock: Arc<TestClock>,
    pub model: Model,
    /// The API keys of each organization.
    pub keys: Vec<Vec<Key>>,
    /// Lists that are being read.
    pub walks: Vec<Walk>,
    next: usize,
}

/// What a step had to do with; an organization is told by an agent of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Touched {
    pub agent: Option<usize>,
    pub conversation: Option<usize>,
    pub message: Option<usize>,
}

impl Touched {
    pub fn of(agent: usize) -> Self {
        Self { agent: Some(agent), ..Self::default() }
    }
}

impl World {
    pub async fn new(replicas: &Replicas, case: usize) -> Self {
        let app = &replicas.first;
        let start = SystemClock.now();
        app.clock.freeze(start);
        let organizations: Vec<_> = ["a", "b"].map(|name| format!("org_{case}_{name}")).into();
        let mut model = Model {
            now: start.timestamp_micros(),
            organizations: organizations.clone(),
            humans: vec![
                format!("+1555{case:06}1"),
                format!("+1555{case:06}2"),
                crate::model::FAILING_HUMAN.to_owned(),
            ],
            ..Model::default()
        };
        let mut agents = Vec::new();
        for agent in 0..AGENTS {
            let identity = app.identity(&organizations[organization_of(agent)]).await;
            agents.push(replicas.both(app.agent(&identity).await));
            model.agents.push(Agent {
                id: identity.id,
                handle: identity.agent_handle,
                enabled: true,
                whitelist: false,
            });
        }
        let (mut admins, mut keys, mut walks) = (Vec::new(), Vec::new(), Vec::new());
        for (organization, id) in organizations.iter().enumerate() {
            let admin = replicas.both(app.admin(id).await);
            keys.push(Key::of_organization(&admin).await);
            walks.extend(Walk::of_organization(organization));
            admins.push(admin);
        }
        let router = replicas.both(app.router().await);
        Self { case, admins, agents, router, clock: app.clock.clone(), model, keys, walks, next: 0 }
    }

    /// Ends every connection, so that the lines are free for the next sequence.
    pub async fn leave(self) {
        for connection in self.model.connections.iter().filter(|row| row.released_at.is_none()) {
            let request = ReleaseConnectionRequest { connection_id: connection.id.clone() };
            self.caller(Who::Admin, connection.agent).release_connection(request).await.unwrap();
        }
    }

    pub async fn perform(&mut self, action: &Action) -> Touched {
        match *action {
            Action::Connect(pair) => self.connect(pair).await,
            Action::Disconnect(pair) => self.disconnect(pair).await,
            Action::List { human } => self.list(human).await,
            Action::Text { pair, when, body } => self.text(pair, when, body).await,
            Action::Redeliver { delivery } => self.redeliver(delivery).await,
            Action::HumanReacts { message, kind, part, removed } => {
                self.human_reacts(message, kind, part, removed).await
            }
            Action::News { message, status, with_error, downgraded } => {
                self.news(message, status, with_error, downgraded).await
            }
            Action::Release { connection } => self.release(connection).await,
            Action::CreateRule { pair, block, who } => self.create_rule(pair, block, who).await,
            Action::ChangeRule { rule, block, paused } => self.change_rule(rule, block, paused).await,
            Action::DeleteRule { rule } => self.delete_rule(rule).await,
            Action::Switch { agent, enabled, whitelist } => self.switch(agent, enabled, whitelist).await,
            Action::MarkRead { conversation, who } => self.mark_read(conversation, who).await,
            Action::Type { conversation, who } => self.show_typing(conversation, who).await,
            Action::NewKey { agent, revoke } => self.new_key(agent, revoke).await,
            Action::Send { pair, by_number, who, body, key } => {
                self.send(pair, by_number, who, body, key).await
            }
            Action::React { message, kind, part, who } => self.react(message, kind, part, who).await,
            Action::Unreact { reaction, who } => self.unreact(reaction, who).await,
        }
    }

    /// Who calls about a row of this agent's.
    pub fn caller(&self, who: Who, agent: usize) -> &Caller {
        match who {
            Who::Admin => self.admins[organization_of(agent)].next(),
            Who::Own => self.agents[agent].next(),
            Who::Other => self.agents[colleague_of(agent)].next(),
            Who::Foreign => self.admins[1 - organization_of(agent)].next(),
        }
    }

    /// A number that no other text of this run has.
    pub fn next(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    /// What a body says; sends under one key are to be alike, so they say no more than `mark`.
    pub fn words(body: Body, mark: &str) -> (Option<String>, Option<String>) {
        let url = format!("https://example.com/{mark}.jpg");
        match body {
            Body::Text => (Some(format!("text {mark}")), None),
            Body::LongText => (Some(format!("{} {mark}", "é".repeat(300))), None),
            Body::Media => (None, Some(url)),
            Body::TextAndMedia => (Some(format!("text {mark}")), Some(url)),
            Body::Stop => (Some("STOP".to_owned()), None),
            Body::Start => (Some("Start.".to_owned()), None),
        }
    }

    pub fn touched(&self, pair: Pair) -> Touched {
        Touched { conversation: self.model.conversation(pair.agent, pair.human), ..Touched::of(pair.agent) }
    }

    pub fn touched_message(&self, message: usize) -> Touched {
        let conversation = self.model.messages[message].conversation;
        let agent = self.model.conversations[conversation].agent;
        Touched { agent: Some(agent), conversation: Some(conversation), message: Some(message) }
    }
}

/// A file of which only the address is known.
pub fn file(url: String) -> Media {
    Media { url, content_type: None, size_bytes: None }
}

/// Asserts that a call was refused for the reason that the model gives, or was not; gives the answer where it was not.
#[track_caller]
pub fn as_predicted<T: std::fmt::Debug>(answer: Result<T, Status>, refused: Option<Reason>) -> Option<T> {
    match refused {
        Some(reason) => {
            assert_reason(answer, reason);
            None
        }
        None => Some(answer.unwrap_or_else(|status| panic!("the model allows it: {status:?}"))),
    }
}

/// The row that a raw number means; `None` when there is none at all.
pub fn pick(number: usize, rows: usize) -> Option<usize> {
    number.checked_rem(rows)
}

/// The id of nothing.
pub fn unknown_id() -> String {
    Uuid::from_u128(1).to_string()
}
