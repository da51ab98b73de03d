//! The model: what has happened, as plain lists, and the rules, as plain loops over them. Nothing is summed up or kept:
//! whatever a list or a get should show is worked out from the messages each time.

use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, DeliveryError, DeliveryStatus, Media, ReactionType,
    ReceiveMessageRequest, ReceiveMessageResponse, SendMessageRequest,
};

use crate::support::app::POOL_LINES;

/// Why a call is refused, as in `errors.proto`.
pub type Reason = &'static str;
/// A moment, in microseconds.
pub type Micros = i64;

/// Everything that has happened in all organizations. Rows name each other by their place in these lists.
#[derive(Debug, Default)]
pub struct Model {
    pub now: Micros,
    pub organizations: Vec<String>,
    pub agents: Vec<Agent>,
    pub humans: Vec<String>,
    pub connections: Vec<Connection>,
    pub conversations: Vec<Conversation>,
    pub messages: Vec<Message>,
    pub reactions: Vec<Reaction>,
    pub rules: Vec<Rule>,
    pub keys: Vec<IdempotencyKey>,
    pub deliveries: Vec<Delivery>,
}

/// An agent. Two of them at a time are of one organization.
#[derive(Debug)]
pub struct Agent {
    pub id: String,
    pub handle: String,
    pub enabled: bool,
    pub whitelist: bool,
}

#[derive(Debug)]
pub struct Connection {
    pub id: String,
    pub agent: usize,
    pub human: usize,
    pub line: String,
    pub created_at: Micros,
    pub released_at: Option<Micros>,
}

#[derive(Debug)]
pub struct Conversation {
    pub id: String,
    pub agent: usize,
    pub human: usize,
    pub created_at: Micros,
    /// When the human opted out.
    pub opted_out_at: Option<Micros>,
}

#[derive(Debug)]
pub struct Message {
    pub id: String,
    pub conversation: usize,
    pub connection: usize,
    pub inbound: bool,
    pub blocked: bool,
    /// Whether a mark came over it; of no meaning where it is outbound or blocked.
    pub marked: bool,
    pub text: Option<String>,
    pub media: Vec<Media>,
    pub status: DeliveryStatus,
    pub error: Option<DeliveryError>,
    pub downgraded: bool,
    pub provider_id: Option<String>,
    /// Its place in time.
    pub created_at: Micros,
    pub arrived_at: Micros,
    pub updated_at: Micros,
}

#[derive(Debug)]
pub struct Reaction {
    pub id: String,
    pub message: usize,
    pub inbound: bool,
    pub kind: ReactionType,
    pub emoji: Option<String>,
    pub part: i32,
    pub created_at: Micros,
    pub live: bool,
}

#[derive(Debug)]
pub struct Rule {
    pub id: String,
    pub agent: usize,
    pub human: usize,
    pub action: ContactRuleAction,
    pub status: ContactRuleStatus,
    pub created_at: Micros,
    pub updated_at: Micros,
}

/// A key under which a message was stored.
#[derive(Debug)]
pub struct IdempotencyKey {
    pub agent: usize,
    pub key: String,
    pub asked: SendMessageRequest,
    pub message: usize,
}

/// A text that a carrier brought, for bringing it again.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub request: ReceiveMessageRequest,
    pub human: usize,
    pub meant: Meant,
    /// The first answer, where it was given before.
    pub first: Option<ReceiveMessageResponse>,
}

/// What a text is for.
#[derive(Debug, Clone, Copy)]
pub enum Meant {
    Connect { agent: usize },
    Disconnect { agent: usize },
    List,
    Message,
}

/// The organization of an agent.
pub const fn organization_of(agent: usize) -> usize {
    agent / 2
}

/// The other agent of its organization.
pub const fn colleague_of(agent: usize) -> usize {
    agent ^ 1
}

impl Model {
    /// The rule of a number, whatever it does.
    pub fn rule_for(&self, agent: usize, human: usize) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.agent == agent && rule.human == human)
    }

    /// Whether an agent's rules keep a human out.
    pub fn is_blocked(&self, agent: usize, human: usize) -> bool {
        let acts = |action| {
            self.rule_for(agent, human)
                .is_some_and(|rule| rule.status == ContactRuleStatus::Active && rule.action == action)
        };
        if self.agents[agent].whitelist {
            !acts(ContactRuleAction::Allow)
        } else {
            acts(ContactRuleAction::Block)
        }
    }

    /// The newest connection of the two, active or not.
    pub fn newest_connection(&self, agent: usize, human: usize) -> Option<usize> {
        self.connections.iter().rposition(|row| row.agent == agent && row.human == human)
    }

    pub fn active_connection(&self, agent: usize, human: usize) -> Option<usize> {
        self.connections
            .iter()
            .position(|row| row.agent == agent && row.human == human && row.released_at.is_none())
    }

    /// The connection that a human's texts to a line belong to.
    pub fn route(&self, line: &str, human: usize) -> Option<usize> {
        self.connections
            .iter()
            .position(|row| row.line == line && row.human == human && row.released_at.is_none())
    }

    /// Whether a human has a thread on each line.
    pub fn has_all_lines(&self, human: usize) -> bool {
        POOL_LINES.iter().all(|line| self.route(line, human).is_some())
    }

    pub fn conversation(&self, agent: usize, human: usize) -> Option<usize> {
        self.conversations.iter().position(|row| row.agent == agent && row.human == human)
    }

    /// The message that a line knows under this id.
    pub fn delivered(&self, line: &str, provider_id: &str) -> Option<usize> {
        self.messages.iter().position(|message| {
            message.provider_id.as_deref() == Some(provider_id)
                && self.connections[message.connection].line == line
        })
    }

    /// Whether the sandbox fails whatever is done on this human's phone.
    pub fn line_fails(&self, human: usize) -> bool {
        self.humans[human] == crate::model::FAILING_HUMAN
    }

    /// The rules that stand between a receipt and a phone.
    pub fn check_receipt(&self, agent: usize, human: usize) -> Result<(), Reason> {
        if !self.agents[agent].enabled {
            return Err("IDENTITY_NOT_ENABLED");
        }
        if self.is_blocked(agent, human) {
            return Err("RECIPIENT_BLOCKED");
        }
        if self.active_connection(agent, human).is_none() {
            return Err("CONNECTION_RELEASED");
        }
        Ok(())
    }

    /// The same for every other call: the human has not opted out.
    pub fn check_call(&self, agent: usize, human: usize) -> Result<(), Reason> {
        self.check_receipt(agent, human)?;
        let conversation = self.conversation(agent, human);
        if conversation.is_some_and(|at| self.conversations[at].opted_out_at.is_some()) {
            return Err("RECIPIENT_OPTED_OUT");
        }
        Ok(())
    }

    /// Takes a text that may be a keyword; a later one counts.
    pub fn hear(&mut self, conversation: usize, text: Option<&str>, sent_at: Micros) {
        let opted_out_at = &mut self.conversations[conversation].opted_out_at;
        match text {
            Some("STOP") => *opted_out_at = Some(opted_out_at.map_or(sent_at, |at| at.max(sent_at))),
            Some("Start.") if opted_out_at.is_some_and(|at| sent_at >= at) => *opted_out_at = None,
            _ => {}
        }
    }

    /// The human connects to an agent, which opts in.
    pub fn opt_in(&mut self, agent: usize, human: usize) {
        if let Some(at) = self.conversation(agent, human) {
            self.conversations[at].opted_out_at = None;
        }
    }

    /// The same for a tapback: the connection that carried its message has to be the active one.
    pub fn check_on(&self, agent: usize, human: usize, carried_by: usize) -> Result<(), Reason> {
        self.check_call(agent, human)?;
        if self.active_connection(agent, human) == Some(carried_by) {
            Ok(())
        } else {
            Err("CONNECTION_RELEASED")
        }
    }

    /// The same for a send: the human has to have texted on this very connection.
    pub fn check_send(&self, agent: usize, human: usize) -> Result<(), Reason> {
        self.check_call(agent, human)?;
        let active = self.active_connection(agent, human);
        let has_messaged = self
            .messages
            .iter()
            .any(|message| Some(message.connection) == active && message.inbound && !message.blocked);
        if has_messaged { Ok(()) } else { Err("RECIPIENT_HAS_NOT_MESSAGED") }
    }

    /// The same for a send by number, which may be to someone who never said a thing.
    pub fn check_send_by_number(&self, agent: usize, human: usize) -> Result<(), Reason> {
        let refused = self.check_send(agent, human);
        let is_stranger = self.conversation(agent, human).is_none();
        if refused == Err("CONNECTION_RELEASED") && is_stranger {
            return Err("RECIPIENT_NOT_CONNECTED");
        }
        refused
    }

    /// Marks what a mark-read marks; gives how many messages that were.
    pub fn mark_read(&mut self, conversation: usize) -> i32 {
        let mut marked = 0;
        for message in &mut self.messages {
            if message.conversation == conversation && message.inbound && !message.blocked && !message.marked
            {
                message.marked = true;
                marked += 1;
            }
        }
        marked
    }

    /// The live reaction of a side on a part of a message.
    pub fn live_reaction(&self, message: usize, inbound: bool, part: i32) -> Option<usize> {
        self.reactions
            .iter()
            .position(|row| row.message == message && row.inbound == inbound && row.part == part && row.live)
    }
}

/// Whether news of `next` moves a message on that stands at `stands`.
pub fn moves_on(stands: DeliveryStatus, next: DeliveryStatus) -> bool {
    let is_end = |status| {
        matches!(status, DeliveryStatus::Delivered | DeliveryStatus::Declined | DeliveryStatus::Error)
    };
    let place = |status| match status {
        DeliveryStatus::Registered => 0,
        DeliveryStatus::Pending => 1,
        DeliveryStatus::Queued => 2,
        DeliveryStatus::Accepted => 3,
        DeliveryStatus::Sent => 4,
        _ => 5,
    };
    !is_end(stands) && place(next) > place(stands)
}
