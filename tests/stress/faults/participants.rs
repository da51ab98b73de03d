//! A pair of an agent and a human, and the state that follows from the responses to their calls: what must be true, and
//! what may be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use inkbox_imessage::proto::{
    ContactRuleStatus, CreateIdentityRequest, FilterMode, Identity, ReactionType, ReceiveMessageRequest,
};

use crate::faults::environment::Environment;
use crate::faults::settle::until_done;
use crate::support::app::ROUTER_LINE;

/// Whether something has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    No,
    /// Someone has asked for it, and was not told that it is.
    Perhaps,
    Yes,
}

/// A connection of the two.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) ended: Ended,
    /// How often someone began to end it.
    pub(crate) attempts: u32,
}

/// A text of the human.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) request: ReceiveMessageRequest,
    pub(crate) fate: Fate,
    /// Whether it was ever delivered without an answer: then it may have been stored after all, and later than one thinks.
    pub(crate) doubtful: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Unknown,
    /// Stored as this message; whether it was blocked, where that was told.
    Stored {
        id: String,
        blocked: Option<bool>,
    },
    /// Not stored.
    NotStored,
}

/// A message of the agent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) words: String,
    pub(crate) fate: SentFate,
    /// Whether it was told that the line took it.
    pub(crate) queued: bool,
    /// Whether it was ever asked for without an answer.
    pub(crate) doubtful: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SentFate {
    Unknown,
    /// It is this message.
    Is(String),
    /// The line did not take it.
    Failed,
    /// It was refused before the line was called.
    Refused,
}

/// Everything that a thing may be: one, once that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Possible<T>(Vec<T>);

impl<T: Clone + PartialEq> Possible<T> {
    pub(crate) fn only(value: T) -> Self {
        Self(vec![value])
    }

    /// It is asked for to be this. Until that is answered, it may be either.
    pub(crate) fn may_be(&mut self, value: T) {
        self.0.push(value);
    }

    pub(crate) fn allows(&self, value: &T) -> bool {
        self.0.contains(value)
    }

    /// What it is, where that is known.
    pub(crate) fn known(&self) -> Option<&T> {
        self.0.iter().all(|value| *value == self.0[0]).then(|| &self.0[0])
    }
}

/// The rule on the human's number.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its id, where it was told.
    pub(crate) id: Option<String>,
    /// Absent, active or paused. It blocks.
    pub(crate) status: Possible<Option<ContactRuleStatus>>,
    /// How often someone began to change it.
    pub(crate) changes: u32,
}

impl Default for Rule {
    fn default() -> Self {
        Self { id: None, status: Possible::only(None), changes: 0 }
    }
}

impl Rule {
    /// Whether it may block, or may have blocked since it was like this.
    pub(crate) fn may_have_blocked_since(&self, before: &Self) -> bool {
        let may_block = |rule: &Self| rule.status.allows(&Some(ContactRuleStatus::Active));
        may_block(self) || may_block(before) || self.changes != before.changes
    }

    /// Whether it has blocked all the time since it was like this.
    pub(crate) fn has_blocked_since(&self, before: &Self) -> bool {
        self.changes == before.changes && before.status.known() == Some(&Some(ContactRuleStatus::Active))
    }
}

/// What is known of the two.
#[derive(Debug, Default)]
pub(crate) struct State {
    next: u32,
    pub(crate) connections: Vec<Connection>,
    /// Where the human's thread with the agent is; `None` where the human does not know.
    pub(crate) line: Option<String>,
    /// A text to the router line whose answer is not known.
    pub(crate) command: Option<ReceiveMessageRequest>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) texts: Vec<Text>,
    pub(crate) sent: Vec<Sent>,
    /// How many messages marks said that they turned read.
    pub(crate) marked: i32,
    /// Whether there was a mark without an answer.
    pub(crate) marks_unknown: bool,
    /// Messages that were there when a mark began that was acknowledged.
    pub(crate) read: BTreeSet<String>,
    pub(crate) rule: Rule,
    /// Live reactions by message, of the agent and of the human.
    pub(crate) ours: BTreeMap<String, Possible<Option<ReactionType>>>,
    pub(crate) theirs: BTreeMap<String, Possible<Option<ReactionType>>>,
}

impl State {
    pub(crate) fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Notes a connection that the human was told of.
    pub(crate) fn connected(&mut self, id: &str) {
        if self.connections.iter().all(|connection| connection.id != id) {
            // Two are never connected twice at a time.
            for connection in &mut self.connections {
                assert_ne!(connection.ended, Ended::No, "{connection:?} and {id} are both active");
                connection.ended = Ended::Yes;
            }
            self.connections.push(Connection { id: id.to_owned(), ended: Ended::No, attempts: 0 });
        }
    }

    /// Notes that someone begins to end a connection.
    pub(crate) fn ends(&mut self, id: &str) {
        let connection = self.connections.iter_mut().find(|connection| connection.id == id).unwrap();
        if connection.ended == Ended::No {
            connection.ended = Ended::Perhaps;
        }
        connection.attempts += 1;
    }

    /// How often someone began to end a connection.
    pub(crate) fn attempts(&self, id: &str) -> u32 {
        self.connections.iter().find(|connection| connection.id == id).unwrap().attempts
    }

    /// Notes that a connection has ended.
    pub(crate) fn ended(&mut self, id: &str) {
        self.connections.iter_mut().find(|connection| connection.id == id).unwrap().ended = Ended::Yes;
    }

    /// The newest connection, where it has not ended for sure.
    pub(crate) fn current(&self) -> Option<&Connection> {
        self.connections.last().filter(|connection| connection.ended != Ended::Yes)
    }

    pub(crate) fn may_be_unconnected(&self) -> bool {
        self.connections.last().is_none_or(|connection| connection.ended != Ended::No)
    }

    /// Ids of texts that were told to be stored, clear ones where that is asked for.
    pub(crate) fn stored(&self, clear: bool) -> Vec<String> {
        let stored = self.texts.iter().filter_map(|text| match &text.fate {
            Fate::Stored { id, blocked } if !clear || *blocked == Some(false) => Some(id.clone()),
            _ => None,
        });
        stored.collect()
    }
}

/// The two.
pub(crate) struct Pair {
    /// Begins everything that is named for them.
    pub(crate) name: String,
    pub(crate) number: String,
    pub(crate) identity: Identity,
    pub(crate) admin: String,
    pub(crate) agent: String,
    state: Mutex<State>,
}

/// Identities of a round's organization, and humans of each, unless the humans are given.
const IDENTITIES: usize = 3;

impl Pair {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A text of the human, with a provider id of its own.
    pub(crate) fn text(&self, line: &str, words: String, id: u32) -> ReceiveMessageRequest {
        ReceiveMessageRequest {
            line_number: line.to_owned(),
            remote_number: self.number.clone(),
            text: Some(words),
            provider_message_id: format!("{}-{id}", self.name),
            ..Default::default()
        }
    }

    pub(crate) fn command(&self, verb: &str) -> ReceiveMessageRequest {
        let id = self.state().number();
        self.text(ROUTER_LINE, format!("{verb} @{}", self.identity.agent_handle), id)
    }

    /// The agents of a new organization, each with some of these humans.
    pub(crate) async fn of_round(env: &Environment, round: u32, humans: &[String]) -> Vec<Arc<Self>> {
        let organization = format!("org_{round}");
        let admin = env.organization(&organization).await;
        let mut identities = Vec::new();
        for n in 0..IDENTITIES.min(humans.len()) {
            let request = CreateIdentityRequest {
                description: None,
                agent_handle: format!("Agent-{round}-{n}"),
                display_name: None,
                imessage_enabled: true,
                filter_mode: FilterMode::Blacklist.into(),
            };
            let made = until_done("the identity is made", async || {
                env.caller(&admin).create_identity(request.clone()).await
            });
            let identity = made.await.identity.unwrap();
            let agent = env.agent(&organization, &identity.id).await;
            identities.push((identity, agent));
        }
        let pair = |(n, number): (usize, &String)| {
            let (identity, agent) = identities[n % identities.len()].clone();
            let (name, number, admin) = (format!("{round}-{n}"), number.clone(), admin.clone());
            Arc::new(Self { name, number, identity, admin, agent, state: Mutex::default() })
        };
        humans.iter().enumerate().map(pair).collect()
    }

    /// Numbers for the humans of a round, which no other round has.
    pub(crate) fn numbers(round: u32, humans: usize) -> Vec<String> {
        (0..humans).map(|n| format!("+1555{:07}", round as usize * 100 + n)).collect()
    }
}
