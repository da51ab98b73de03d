//! An organization of two agents with three humans around it, in the service and in the model.

use std::sync::Arc;

use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::proto::{Media, ReleaseConnectionRequest};
use tonic::Status;
use uuid::Uuid;

use crate::model::{Agent, Model, Reason};
use crate::step::{Action, Body, Pair, Who};
use crate::support::callers::Caller;
use crate::support::clock::TestClock;
use crate::support::{TestApp, assert_reason};

pub struct World {
    pub case: usize,
    pub admin: Caller,
    /// With the key of each agent.
    pub agents: Vec<Caller>,
    pub router: Caller,
    pub clock: Arc<TestClock>,
    pub model: Model,
    next: usize,
}

/// The rows that a step had to do with.
#[derive(Debug, Default, Clone, Copy)]
pub struct Touched {
    pub conversation: Option<usize>,
    pub message: Option<usize>,
}

impl World {
    pub async fn new(app: &TestApp, case: usize) -> Self {
        let start = SystemClock.now();
        app.clock.freeze(start);
        let organization_id = format!("org_{case}");
        let mut model = Model {
            now: start.timestamp_micros(),
            organization_id: organization_id.clone(),
            humans: vec![
                format!("+1555{case:06}1"),
                format!("+1555{case:06}2"),
                crate::FAILING_HUMAN.to_owned(),
            ],
            ..Model::default()
        };
        let mut agents = Vec::new();
        for _ in 0..2 {
            let identity = app.identity(&organization_id).await;
            agents.push(app.agent(&identity).await);
            model.agents.push(Agent {
                id: identity.id,
                handle: identity.agent_handle,
                enabled: true,
                whitelist: false,
            });
        }
        Self {
            case,
            admin: app.admin(&organization_id).await,
            agents,
            router: app.router().await,
            clock: app.clock.clone(),
            model,
            next: 0,
        }
    }

    /// Ends every connection, so that the lines are free for the next sequence.
    pub async fn leave(self) {
        for connection in self.model.connections.iter().filter(|row| row.released_at.is_none()) {
            let request = ReleaseConnectionRequest { connection_id: connection.id.clone() };
            self.admin.release_connection(request).await.unwrap();
        }
    }

    pub async fn perform(&mut self, action: &Action) -> Touched {
        match *action {
            Action::Connect(pair) => self.connect(pair).await,
            Action::Disconnect(pair) => self.disconnect(pair).await,
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
            Who::Admin => &self.admin,
            Who::Own => &self.agents[agent],
            Who::Other => &self.agents[1 - agent],
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
        }
    }

    pub fn touched(&self, pair: Pair) -> Touched {
        Touched { conversation: self.model.conversation(pair.agent, pair.human), message: None }
    }

    pub fn touched_message(&self, message: usize) -> Touched {
        Touched { conversation: Some(self.model.messages[message].conversation), message: Some(message) }
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
