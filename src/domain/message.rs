//! Messages.

use serde::{Deserialize, Serialize};

use super::numbered::numbered_enum;

/// The longest text of a message, in characters (Unicode scalar values). The limit of the carriers' APIs.
pub const TEXT_LIMIT: usize = 18_996;

numbered_enum! {
    /// Who said it.
    Direction {
        /// The human.
        Inbound = 1,
        /// The agent.
        Outbound = 2,
    }
}

numbered_enum! {
    /// What carried a message.
    Transport {
        /// Apple's network.
        IMessage = 1,
        /// Text message.
        Sms = 2,
        /// Rich communication services.
        Rcs = 3,
    }
}

numbered_enum! {
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

numbered_enum! {
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
