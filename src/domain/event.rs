//! Events: what happened in conversations and connections, as the event log keeps it.

use uuid::Uuid;

use super::wire_enum::wire_enum;
use super::{ConnectionId, ConversationId, DeliveryStatus, IdentityId, MessageId, ReactionId};

wire_enum! {
    /// Kinds of event.
    EventType {
        MessageReceived = 1,
        /// The carrier took an outbound message.
        MessageSent = 2,
        MessageDelivered = 3,
        /// An outbound message was refused or failed.
        MessageFailed = 4,
        ReactionReceived = 5,
        ReactionRemoved = 6,
        ConnectionOpened = 7,
        ConnectionReleased = 8,
        ConversationRead = 9,
    }
}

/// An event as it is written. It refers to rows, which are read when the event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEvent {
    pub event_type: EventType,
    pub identity_id: Uuid,
    /// `None` for a connection of two who have no conversation yet.
    pub conversation_id: Option<Uuid>,
    pub subject: Subject,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Message {
        id: Uuid,
        is_blocked: bool,
        /// The status that it took with the event; `None` for inbound messages.
        status: Option<DeliveryStatus>,
    },
    Reaction {
        id: Uuid,
        message_id: Uuid,
        /// Whether its message is blocked.
        is_blocked: bool,
    },
    Connection(Uuid),
    Read {
        /// Messages that turned read.
        updated: i32,
        /// Messages that were unread afterwards, without blocked ones.
        unread: i32,
    },
}

impl NewEvent {
    /// The event of an outbound message that takes a status, from the status that it had before. `None` if it has none for
    /// this change: each of sent, delivered and failed is an event once.
    #[must_use]
    pub fn of_status(
        identity_id: IdentityId,
        conversation_id: ConversationId,
        message_id: MessageId,
        before: DeliveryStatus,
        status: DeliveryStatus,
    ) -> Option<Self> {
        let event_type = match status {
            DeliveryStatus::Delivered => EventType::MessageDelivered,
            DeliveryStatus::Declined | DeliveryStatus::Error => EventType::MessageFailed,
            DeliveryStatus::Queued | DeliveryStatus::Accepted | DeliveryStatus::Sent
                if matches!(before, DeliveryStatus::Registered | DeliveryStatus::Pending) =>
            {
                EventType::MessageSent
            }
            _ => return None,
        };
        Some(Self {
            event_type,
            identity_id: identity_id.uuid(),
            conversation_id: Some(conversation_id.uuid()),
            subject: Subject::Message { id: message_id.uuid(), is_blocked: false, status: Some(status) },
        })
    }

    /// The event of a connection that began or ended.
    #[must_use]
    pub fn of_connection(
        event_type: EventType,
        identity_id: IdentityId,
        conversation_id: Option<ConversationId>,
        id: ConnectionId,
    ) -> Self {
        Self {
            event_type,
            identity_id: identity_id.uuid(),
            conversation_id: conversation_id.map(ConversationId::uuid),
            subject: Subject::Connection(id.uuid()),
        }
    }

    /// The event of a conversation of which messages were marked read.
    #[must_use]
    pub fn of_reading(
        identity_id: IdentityId,
        conversation_id: ConversationId,
        updated: i32,
        unread: i32,
    ) -> Self {
        Self {
            event_type: EventType::ConversationRead,
            identity_id: identity_id.uuid(),
            conversation_id: Some(conversation_id.uuid()),
            subject: Subject::Read { updated, unread },
        }
    }

    /// The event of a human's reaction that was added or taken back.
    #[must_use]
    pub fn of_reaction(
        event_type: EventType,
        identity_id: IdentityId,
        conversation_id: ConversationId,
        id: ReactionId,
        message_id: MessageId,
        is_blocked: bool,
    ) -> Self {
        Self {
            event_type,
            identity_id: identity_id.uuid(),
            conversation_id: Some(conversation_id.uuid()),
            subject: Subject::Reaction { id: id.uuid(), message_id: message_id.uuid(), is_blocked },
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{EventType, NewEvent};
    use crate::domain::DeliveryStatus::{
        Accepted, Declined, Delivered, Error, Pending, Queued, Registered, Sent,
    };

    #[test]
    fn sent_delivered_and_failed_are_an_event_each_once() {
        let id = Uuid::nil();
        for (before, status, expected) in [
            (Pending, Queued, Some(EventType::MessageSent)),
            (Registered, Sent, Some(EventType::MessageSent)),
            (Queued, Accepted, None),
            (Accepted, Sent, None),
            (Sent, Delivered, Some(EventType::MessageDelivered)),
            (Pending, Error, Some(EventType::MessageFailed)),
            (Sent, Declined, Some(EventType::MessageFailed)),
        ] {
            let event = NewEvent::of_status(id.into(), id.into(), id.into(), before, status);
            assert_eq!(event.map(|event| event.event_type), expected, "{before:?} -> {status:?}");
        }
    }
}
