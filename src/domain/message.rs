//! Messages and their delivery.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{ConnectionId, ConversationId, Direction, Media, MessageId, PhoneNumber, Reaction};

/// Maximum length of a text, in characters (Unicode scalar values): the limit of the carriers' APIs.
pub const MAX_TEXT_CHARACTERS: usize = 18_996;
/// Maximum length of the URL of a received file, in characters: signed URLs are long.
pub const MAX_URL_CHARACTERS: usize = 8_192;
/// Bound on the part index of a tapback. iMessage allows one text and twenty files in a message, which are 21 parts;
/// rounded up.
pub const MAX_PARTS: i32 = 32;

wire_enum! {
    /// The network that carried a message.
    Transport {
        /// The carrier did not report it.
        Unspecified = 0,
        IMessage = 1,
        Sms = 2,
        Rcs = 3,
    }
}

wire_enum! {
    /// Who sent an outbound message.
    MessageOrigin {
        /// An agent, through this service.
        Service = 1,
        /// A person, from the account of the line, such as in the Messages app of the Mac.
        ByHand = 2,
    }
}

wire_enum! {
    /// The last known stage of a message's delivery.
    DeliveryStatus {
        /// The carrier has registered the message.
        Registered = 1,
        /// The message is about to be handed to the carrier, or was handed over with an unknown outcome.
        Pending = 2,
        /// The carrier accepted the message.
        Queued = 3,
        /// The carrier's next hop accepted the message.
        Accepted = 4,
        /// The message left the carrier.
        Sent = 5,
        /// The message reached the phone.
        Delivered = 6,
        /// The carrier refused to send the message.
        Declined = 7,
        /// Sending or delivery failed.
        Error = 8,
        /// An inbound message, which is stored.
        Received = 9,
    }
}

wire_enum! {
    /// The bubble or screen effect of an outbound message.
    SendStyle {
        /// Screen effect.
        Celebration = 1,
        /// Screen effect.
        ShootingStar = 2,
        /// Screen effect.
        Fireworks = 3,
        /// Screen effect.
        Lasers = 4,
        /// Screen effect.
        Love = 5,
        /// Screen effect.
        Confetti = 6,
        /// Screen effect.
        Balloons = 7,
        /// Screen effect.
        Spotlight = 8,
        /// Screen effect.
        Echo = 9,
        /// Bubble effect.
        Invisible = 10,
        /// Bubble effect.
        Gentle = 11,
        /// Bubble effect.
        Loud = 12,
        /// Bubble effect.
        Slam = 13,
    }
}

/// Why a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryError {
    /// The carrier's code, or a code of this service if the carrier returned none.
    pub code: String,
    /// A description for people.
    pub message: String,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    /// The connection that carried the message.
    pub assignment_id: ConnectionId,
    pub direction: Direction,
    /// The human's number.
    pub remote_number: PhoneNumber,
    /// As the human last edited it; `None` if the message has only media, or was taken back.
    pub text: Option<String>,
    pub media: Vec<Media>,
    /// `None` for inbound messages.
    pub send_style: Option<SendStyle>,
    pub transport: Transport,
    pub status: DeliveryStatus,
    pub error: Option<DeliveryError>,
    /// Sent as iMessage, delivered as SMS.
    pub was_downgraded: bool,
    /// Outbound messages are always read, blocked messages never. Other inbound messages are read up to the horizon.
    pub is_read: bool,
    /// Decided on arrival and never changed.
    pub is_blocked: bool,
    /// Without removed reactions; oldest first.
    pub reactions: Vec<Reaction>,
    /// The time by which messages are ordered.
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// When the human last edited it.
    pub edited_at: Option<DateTime<Utc>>,
    /// When the human took it back.
    pub retracted_at: Option<DateTime<Utc>>,
    /// The text before the first change; for admins only.
    pub original_text: Option<String>,
    /// The message of the same conversation that this one replies to.
    pub reply_to: Option<MessageId>,
    /// [`MessageOrigin::Service`] for inbound messages, where it has no meaning.
    pub origin: MessageOrigin,
}

impl DeliveryStatus {
    /// Whether a delivery report `next` changes this status. Final statuses never change; the others only move forward.
    #[must_use]
    pub const fn can_transition_to(self, next: Self) -> bool {
        !self.is_final() && (next.is_final() || next.number() > self.number())
    }

    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Declined | Self::Error | Self::Received)
    }

    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Declined | Self::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::DeliveryStatus::{
        self, Accepted, Declined, Delivered, Error, Pending, Queued, Received, Registered, Sent,
    };

    #[test]
    fn a_status_never_moves_backwards() {
        let order = [Registered, Pending, Queued, Accepted, Sent];
        for (i, from) in order.into_iter().enumerate() {
            for (j, to) in order.into_iter().enumerate() {
                assert_eq!(from.can_transition_to(to), j > i, "{from:?} -> {to:?}");
            }
            for end in [Delivered, Declined, Error] {
                assert!(from.can_transition_to(end), "{from:?} -> {end:?}");
                assert!(!end.can_transition_to(from), "{end:?} -> {from:?}");
            }
        }
        for end in [Delivered, Declined, Error, Received] {
            for to in (1..=9).filter_map(DeliveryStatus::from_number) {
                assert!(!end.can_transition_to(to), "{end:?} -> {to:?}");
            }
        }
    }
}
