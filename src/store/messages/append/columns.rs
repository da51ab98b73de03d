//! What is appended, and the parameters of the statements.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::{
    DeliveryStatus, Direction, EventType, MessageOrigin, NewEvent, OptOutKeyword, OrganizationId, SendStyle,
    Subject, Transport, preview,
};

/// A message to append.
pub(in crate::store) struct NewMessage<'a> {
    pub(in crate::store) conversation_id: Uuid,
    /// Must be the active connection of the conversation.
    pub(in crate::store) connection_id: Uuid,
    pub(in crate::store) message_id: Uuid,
    pub(in crate::store) line_number: &'a str,
    /// `None` for an outbound message, until the carrier has accepted it.
    pub(in crate::store) provider_message_id: Option<&'a str>,
    pub(in crate::store) is_blocked: bool,
    pub(in crate::store) text: Option<&'a str>,
    pub(in crate::store) media: Option<Value>,
    pub(in crate::store) transport: Transport,
    /// The message of the same conversation that it replies to.
    pub(in crate::store) reply_to: Option<Uuid>,
    pub(in crate::store) created_at: DateTime<Utc>,
    pub(in crate::store) updated_at: DateTime<Utc>,
    /// Whether it is a keyword of the human that ends or resumes messages.
    pub(in crate::store) keyword: Option<OptOutKeyword>,
}

/// What the messages of one statement have in common.
#[derive(Clone, Copy)]
pub(in crate::store) enum Kind {
    /// Received from humans. Appended only if the identity is enabled and the human is blocked or not as the message says:
    /// a rule that was acknowledged in the meantime applies.
    Inbound,
    /// About to be sent. Appended only if the human has sent a message on the connection and has not opted out, no release
    /// of it waits, and the identity may reach the human: the statement repeats the rules of `domain::eligibility`.
    Outbound {
        send_style: Option<SendStyle>,
        /// How long the send may be in flight, from the start of the statement.
        max_seconds: f64,
    },
    /// Sent by hand from the account of the line, which no rule of this service can prevent.
    ByHand,
}

/// The parameters of the statements, by column.
pub(super) struct Columns<'a> {
    pub(super) organization_id: &'a str,
    pub(super) conversation_ids: Vec<Uuid>,
    pub(super) connection_ids: Vec<Uuid>,
    pub(super) message_ids: Vec<Uuid>,
    pub(super) line_numbers: Vec<&'a str>,
    pub(super) provider_message_ids: Vec<Option<&'a str>>,
    pub(super) are_blocked: Vec<bool>,
    pub(super) texts: Vec<Option<&'a str>>,
    pub(super) previews: Vec<Option<&'a str>>,
    pub(super) media: Vec<Option<Value>>,
    pub(super) created_at: Vec<DateTime<Utc>>,
    pub(super) updated_at: Vec<DateTime<Utc>>,
    pub(super) transports: Vec<i16>,
    pub(super) replies_to: Vec<Option<Uuid>>,
    pub(super) origin: i16,
    pub(super) keywords: Vec<Option<i16>>,
    pub(super) direction: i16,
    pub(super) send_style: i16,
    pub(super) status: i16,
    pub(super) max_seconds: Option<f64>,
    /// Whether the statement writes the events, since there is no transaction that does.
    pub(super) logs_itself: bool,
}

/// A message that was appended.
pub(super) struct Appended {
    pub(super) message_id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) identity_id: Uuid,
    pub(super) is_blocked: bool,
    /// The new head of the event log, if the statement wrote the event.
    pub(super) last_sequence: Option<i64>,
}

impl Kind {
    /// The event of an appended message. The one of a send comes with the answer of the carrier.
    pub(super) fn event(self, appended: &Appended) -> Option<NewEvent> {
        let (event_type, status) = match self {
            Self::Inbound => (EventType::MessageReceived, None),
            Self::ByHand => (EventType::MessageSent, Some(DeliveryStatus::Sent)),
            Self::Outbound { .. } => return None,
        };
        Some(NewEvent {
            event_type,
            identity_id: appended.identity_id,
            conversation_id: Some(appended.conversation_id),
            subject: Subject::Message { id: appended.message_id, is_blocked: appended.is_blocked, status },
        })
    }
}

impl<'a> Columns<'a> {
    pub(super) fn new(
        organization_id: &'a OrganizationId,
        kind: Kind,
        messages: Vec<NewMessage<'a>>,
        logs_itself: bool,
    ) -> Self {
        let (direction, send_style, status, max_seconds) = match kind {
            Kind::Inbound => (Direction::Inbound, 0, DeliveryStatus::Received, None),
            Kind::ByHand => (Direction::Outbound, 0, DeliveryStatus::Sent, None),
            Kind::Outbound { send_style, max_seconds } => (
                Direction::Outbound,
                send_style.map_or(0, SendStyle::number),
                DeliveryStatus::Pending,
                Some(max_seconds),
            ),
        };
        let origin = match kind {
            Kind::ByHand => MessageOrigin::ByHand,
            Kind::Inbound | Kind::Outbound { .. } => MessageOrigin::Service,
        };
        Self {
            organization_id: organization_id.as_str(),
            conversation_ids: messages.iter().map(|message| message.conversation_id).collect(),
            connection_ids: messages.iter().map(|message| message.connection_id).collect(),
            message_ids: messages.iter().map(|message| message.message_id).collect(),
            line_numbers: messages.iter().map(|message| message.line_number).collect(),
            provider_message_ids: messages.iter().map(|message| message.provider_message_id).collect(),
            are_blocked: messages.iter().map(|message| message.is_blocked).collect(),
            texts: messages.iter().map(|message| message.text).collect(),
            previews: messages.iter().map(|message| message.text.map(preview)).collect(),
            created_at: messages.iter().map(|message| message.created_at).collect(),
            updated_at: messages.iter().map(|message| message.updated_at).collect(),
            transports: messages.iter().map(|message| message.transport.number()).collect(),
            replies_to: messages.iter().map(|message| message.reply_to).collect(),
            origin: origin.number(),
            keywords: messages.iter().map(|message| message.keyword.map(|keyword| keyword as i16)).collect(),
            media: messages.into_iter().map(|message| message.media).collect(),
            direction: direction.number(),
            send_style,
            status: status.number(),
            max_seconds,
            logs_itself,
        }
    }
}
