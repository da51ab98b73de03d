//! What the lists and gets should show, worked out from the model's messages.

use inkbox_imessage::proto::{
    self, AssignmentStatus, ConversationSummary, MessageDirection, MessageOrigin, MessageTransport,
};
use prost_types::Timestamp;

use crate::model::state::{Conversation, Message, Micros, Model, organization_of};

/// How much of a text a list shows, in characters.
const PREVIEW: usize = 256;

/// Which messages a caller looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    All,
    Clear,
    Blocked,
}

impl View {
    pub const EACH: [Self; 3] = [Self::All, Self::Clear, Self::Blocked];

    /// What an admin asks for to have it.
    pub fn asked(self) -> Option<bool> {
        match self {
            Self::All => None,
            Self::Clear => Some(false),
            Self::Blocked => Some(true),
        }
    }

    fn shows(self, message: &Message) -> bool {
        match self {
            Self::All => true,
            Self::Clear => !message.blocked,
            Self::Blocked => message.blocked,
        }
    }
}

/// Whose messages a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Organization(usize),
    Agent(usize),
    Conversation(usize),
}

impl Scope {
    /// Whether an agent's rows are in it; those of a conversation are asked for by themselves.
    const fn has(self, agent: usize) -> bool {
        match self {
            Self::Organization(organization) => organization_of(agent) == organization,
            Self::Agent(only) => only == agent,
            Self::Conversation(_) => false,
        }
    }
}

pub fn timestamp(at: Micros) -> Timestamp {
    let nanos = i32::try_from(at.rem_euclid(1_000_000) * 1_000).unwrap();
    Timestamp { seconds: at.div_euclid(1_000_000), nanos }
}

fn direction(inbound: bool) -> i32 {
    if inbound { MessageDirection::Inbound.into() } else { MessageDirection::Outbound.into() }
}

impl Model {
    /// Whether a message counts as read.
    fn is_read(message: &Message) -> bool {
        if message.blocked { false } else { !message.inbound || message.marked }
    }

    pub fn message_row(&self, place: usize) -> proto::Message {
        let message = &self.messages[place];
        let conversation = &self.conversations[message.conversation];
        proto::Message {
            id: message.id.clone(),
            conversation_id: conversation.id.clone(),
            assignment_id: self.connections[message.connection].id.clone(),
            direction: direction(message.inbound),
            remote_number: self.humans[conversation.human].clone(),
            text: message.text.clone(),
            media: message.media.clone(),
            send_style: 0,
            transport: if message.inbound {
                MessageTransport::Unspecified
            } else {
                MessageTransport::Imessage
            }
            .into(),
            status: message.status.into(),
            error: message.error.clone(),
            is_read: Self::is_read(message),
            is_blocked: message.blocked,
            reactions: self.live_reactions(place),
            created_at: Some(timestamp(message.created_at)),
            updated_at: Some(timestamp(message.updated_at)),
            was_downgraded: message.downgraded,
            edited_at: None,
            retracted_at: None,
            original_text: None,
            reply_to_message_id: None,
            origin: if message.inbound { MessageOrigin::Unspecified } else { MessageOrigin::Service }.into(),
        }
    }

    fn live_reactions(&self, message: usize) -> Vec<proto::Reaction> {
        let live = |place: &usize| self.reactions[*place].message == message && self.reactions[*place].live;
        let mut places: Vec<_> = (0..self.reactions.len()).filter(live).collect();
        places.sort_by_key(|place| (self.reactions[*place].created_at, self.reactions[*place].id.clone()));
        places.into_iter().map(|place| self.reaction_row(place)).collect()
    }

    pub fn reaction_row(&self, place: usize) -> proto::Reaction {
        let reaction = &self.reactions[place];
        let message = &self.messages[reaction.message];
        proto::Reaction {
            id: reaction.id.clone(),
            conversation_id: self.conversations[message.conversation].id.clone(),
            message_id: message.id.clone(),
            direction: direction(reaction.inbound),
            reaction: reaction.kind.into(),
            custom_emoji: reaction.emoji.clone(),
            part_index: reaction.part,
            created_at: Some(timestamp(reaction.created_at)),
            remote_number: self.humans[self.conversations[message.conversation].human].clone(),
            updated_at: Some(timestamp(reaction.created_at)),
        }
    }

    /// Whether a conversation is in a scope.
    fn is_in(&self, scope: Scope, conversation: usize) -> bool {
        match scope {
            Scope::Conversation(only) => only == conversation,
            _ => scope.has(self.conversations[conversation].agent),
        }
    }

    /// The messages of a scope in a view, newest first.
    pub fn message_list(&self, scope: Scope, view: View, is_read: Option<bool>) -> Vec<proto::Message> {
        let mut places: Vec<_> = (0..self.messages.len())
            .filter(|place| {
                let message = &self.messages[*place];
                self.is_in(scope, message.conversation)
                    && view.shows(message)
                    && is_read.is_none_or(|is_read| Self::is_read(message) == is_read)
            })
            .collect();
        places.sort_by_key(|place| (self.messages[*place].created_at, self.messages[*place].id.clone()));
        places.into_iter().rev().map(|place| self.message_row(place)).collect()
    }

    pub fn conversation_row(&self, place: usize) -> proto::Conversation {
        let conversation = &self.conversations[place];
        let Conversation { agent, human, .. } = *conversation;
        let newest = &self.connections[self.newest_connection(agent, human).unwrap()];
        let status =
            if newest.released_at.is_none() { AssignmentStatus::Active } else { AssignmentStatus::Released };
        let mut updated_at = conversation.created_at;
        for message in &self.messages {
            if message.conversation == place && !message.blocked {
                updated_at = updated_at.max(message.arrived_at);
            }
        }
        for connection in &self.connections {
            if connection.agent == agent && connection.human == human {
                updated_at = updated_at.max(connection.created_at).max(connection.released_at.unwrap_or(0));
            }
        }
        proto::Conversation {
            id: conversation.id.clone(),
            assignment_id: newest.id.clone(),
            assignment_status: status.into(),
            remote_number: self.humans[human].clone(),
            created_at: Some(timestamp(conversation.created_at)),
            updated_at: Some(timestamp(updated_at)),
            agent_identity_id: self.agents[agent].id.clone(),
            opted_out_at: conversation.opted_out_at.map(timestamp),
        }
    }

    /// The conversations of a scope with a message in the view, newest message first.
    pub fn conversation_list(&self, scope: Scope, view: View) -> Vec<ConversationSummary> {
        let mut rows = Vec::new();
        for place in 0..self.conversations.len() {
            if !self.is_in(scope, place) {
                continue;
            }
            let in_view: Vec<_> = self
                .messages
                .iter()
                .filter(|message| message.conversation == place && view.shows(message))
                .collect();
            let newest = in_view.iter().max_by_key(|message| (message.created_at, message.id.clone()));
            let Some(newest) = newest else { continue };
            let conversation = self.conversation_row(place);
            let key = (newest.created_at, conversation.id.clone());
            let unread = in_view.iter().filter(|message| !Self::is_read(message)).count();
            let row = ConversationSummary {
                id: conversation.id,
                assignment_id: conversation.assignment_id,
                assignment_status: conversation.assignment_status,
                remote_number: conversation.remote_number,
                created_at: conversation.created_at,
                updated_at: conversation.updated_at,
                agent_identity_id: conversation.agent_identity_id,
                opted_out_at: conversation.opted_out_at,
                latest_text: newest.text.as_ref().map(|text| text.chars().take(PREVIEW).collect()),
                latest_message_at: Some(timestamp(newest.created_at)),
                latest_direction: direction(newest.inbound),
                latest_has_media: !newest.media.is_empty(),
                unread_count: i32::try_from(unread).unwrap(),
                total_count: i32::try_from(in_view.len()).unwrap(),
            };
            rows.push((key, row));
        }
        rows.sort_by(|(one, _), (other, _)| other.cmp(one));
        rows.into_iter().map(|(_, row)| row).collect()
    }

    pub fn connection_row(&self, place: usize) -> proto::Connection {
        let connection = &self.connections[place];
        let status = if connection.released_at.is_none() {
            AssignmentStatus::Active
        } else {
            AssignmentStatus::Released
        };
        proto::Connection {
            id: connection.id.clone(),
            remote_number: self.humans[connection.human].clone(),
            agent_identity_id: self.agents[connection.agent].id.clone(),
            organization_id: self.organizations[organization_of(connection.agent)].clone(),
            status: status.into(),
            released_at: connection.released_at.map(timestamp),
            created_at: Some(timestamp(connection.created_at)),
            updated_at: Some(timestamp(connection.released_at.unwrap_or(connection.created_at))),
        }
    }

    /// The active connections of a scope, newest first.
    pub fn connection_list(&self, scope: Scope) -> Vec<proto::Connection> {
        let mut places: Vec<_> = (0..self.connections.len())
            .filter(|place| self.connections[*place].released_at.is_none())
            .filter(|place| scope.has(self.connections[*place].agent))
            .collect();
        places
            .sort_by_key(|place| (self.connections[*place].created_at, self.connections[*place].id.clone()));
        places.into_iter().rev().map(|place| self.connection_row(place)).collect()
    }

    pub fn rule_row(&self, place: usize) -> proto::ContactRule {
        let rule = &self.rules[place];
        proto::ContactRule {
            id: rule.id.clone(),
            agent_identity_id: self.agents[rule.agent].id.clone(),
            action: rule.action.into(),
            match_target: self.humans[rule.human].clone(),
            status: rule.status.into(),
            created_at: Some(timestamp(rule.created_at)),
            updated_at: Some(timestamp(rule.updated_at)),
        }
    }

    /// The rules of a scope, newest first.
    pub fn rule_list(&self, scope: Scope) -> Vec<proto::ContactRule> {
        let mut places: Vec<_> =
            (0..self.rules.len()).filter(|place| scope.has(self.rules[*place].agent)).collect();
        places.sort_by_key(|place| (self.rules[*place].created_at, self.rules[*place].id.clone()));
        places.into_iter().rev().map(|place| self.rule_row(place)).collect()
    }
}
