//! Messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::wire_enum::wire_enum;
use super::{ConnectionId, ConversationId, MessageId, PhoneNumber, Reaction};

/// The longest text of a message, in characters (Unicode scalar values). The limit of the carriers' APIs.
pub const TEXT_LIMIT: usize = 18_996;
/// Bound on the part index of a tapback. iMessage allows one text and twenty files in a message, which are 21 parts;
/// rounded up.
pub const MAX_PARTS: i32 = 32;

wire_enum! {
    /// Who said it.
    Direction {
        /// The human.
        Inbound = 1,
        /// The agent.
        Outbound = 2,
    }
}

wire_enum! {
    /// The network that carried a message.
    Transport {
        /// The carrier did not state it.
        Unspecified = 0,
        /// Apple's network.
        IMessage = 1,
        /// Text message.
        Sms = 2,
        /// Rich communication services.
        Rcs = 3,
    }
}

wire_enum! {
    /// How far the delivery of a message is known to have come.
    DeliveryStatus {
        /// The carrier knows of it.
        Registered = 1,
        /// Handed to the carrier or about to be; the outcome is not known.
        Pending = 2,
        /// The carrier accepted it.
        Queued = 3,
        /// The carrier's next hop accepted it.
        Accepted = 4,
        /// It left the carrier.
        Sent = 5,
        /// It reached the phone.
        Delivered = 6,
        /// The carrier will not send it.
        Declined = 7,
        /// It failed.
        Error = 8,
        /// Inbound: we have it.
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

/// A file that belongs to a message. Stored as JSON in this shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Where it can be fetched.
    pub url: String,
    /// MIME type, where the carrier told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Size in bytes, where the carrier told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
}

/// Why a delivery failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryError {
    /// The carrier's code, or ours where the line itself failed.
    pub code: String,
    /// Words for people.
    pub message: String,
}

/// A message, as a caller sees it.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The connection it came or went on.
    pub assignment_id: ConnectionId,
    /// Who said it.
    pub direction: Direction,
    /// The human.
    pub remote_number: PhoneNumber,
    /// The text, unchanged; `None` when there is only media.
    pub text: Option<String>,
    /// Files.
    pub media: Vec<Media>,
    /// Effect of an outbound message.
    pub send_style: Option<SendStyle>,
    /// What carries it.
    pub transport: Transport,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// Why it failed.
    pub error: Option<DeliveryError>,
    /// Sent as iMessage, delivered as SMS.
    pub was_downgraded: bool,
    /// Inbound and clear: within the read horizon. Blocked: never. Outbound: always.
    pub is_read: bool,
    /// Decided when it arrived, never rewritten.
    pub is_blocked: bool,
    /// Live reactions, oldest first.
    pub reactions: Vec<Reaction>,
    /// Its place in time.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl DeliveryStatus {
    /// Whether news of `next` moves a message on from here. Delivered, declined and failed are the end; before it, a
    /// message only moves forward.
    #[must_use]
    pub const fn can_transition_to(self, next: Self) -> bool {
        !self.is_final() && (next.is_final() || next.number() > self.number())
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Declined | Self::Error | Self::Received)
    }

    /// Whether it is the end of a delivery that failed.
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
