//! Lines: what really reaches a human's phone.
//!
//! To add a carrier: implement [`Line`] in a file of its own, sort every answer of its API into an [`Outcome`]
//! there, give it a number in `domain::Carrier`, and add it to [`Carriers`] in `server`.

mod carriers;
mod lanes;
mod observed;
mod sandbox;

pub use carriers::Carriers;
pub use lanes::{InLane, LaneLoad, Lanes};
pub use sandbox::{Delivery, DeliveryKind, Sandbox};

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::{ConversationId, MessageId, OrganizationId, PhoneNumber, ReactionType, SendStyle};
use crate::error::Error;

/// The two ends of a thread, and whose it is.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Owner of the conversation.
    pub organization_id: OrganizationId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The line we speak from.
    pub line_number: PhoneNumber,
    /// The human.
    pub remote_number: PhoneNumber,
}

/// What a line is asked to do on the human's phone.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    /// Show "Read" under the human's messages.
    ReadReceipt,
    /// Show the typing bubble.
    Typing,
    /// Show a message.
    Message(OutboundMessage<'a>),
    /// Put a tapback on a message.
    Reaction(Tapback<'a>),
    /// Take a tapback of ours back.
    ReactionRemoval(Tapback<'a>),
}

impl Action<'_> {
    /// What it is called in metrics and traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReadReceipt => "read_receipt",
            Self::Typing => "typing",
            Self::Message(_) => "message",
            Self::Reaction(_) => "reaction",
            Self::ReactionRemoval(_) => "reaction_removal",
        }
    }
}

/// A message on its way out.
#[derive(Debug, Clone, Copy)]
pub struct OutboundMessage<'a> {
    /// Our id of it.
    pub id: MessageId,
    /// Its text.
    pub text: Option<&'a str>,
    /// Address of its file.
    pub media_url: Option<&'a str>,
    /// Its effect.
    pub style: Option<SendStyle>,
}

/// A tapback and what it is on.
#[derive(Debug, Clone, Copy)]
pub struct Tapback<'a> {
    /// The carrier's id of the message; `None` when the carrier never told.
    pub provider_message_id: Option<&'a str>,
    /// What it says.
    pub reaction: ReactionType,
    /// Which part of the message.
    pub part_index: i32,
}

/// What a carrier says of what it accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The carrier's id of a message.
    pub provider_message_id: Option<String>,
}

/// Why a line did not do it, by what the caller can make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Refused for good: the same call will fail again.
    #[error("refused for good")]
    Refused,
    /// A passing fault: the same call can succeed later.
    #[error("passing fault")]
    Passing {
        /// When to try again.
        retry_after: Duration,
    },
    /// No answer within the line time-out: it may or may not have been done.
    #[error("outcome unknown")]
    Unknown,
}

impl Failure {
    /// Advice to callers where the carrier gives none.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// The code that a message which failed this way is stored with.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "LINE_REFUSED",
            Self::Passing { .. } | Self::Unknown => "LINE_FAILED",
        }
    }

    /// Whether a stored code is one of ours, and not the carrier's.
    #[must_use]
    pub fn is_code(code: &str) -> bool {
        [Self::Refused.code(), Self::Unknown.code()].contains(&code)
    }

    /// The failure of a message that was stored with this code.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        if code == Self::Refused.code() {
            Self::Refused
        } else {
            Self::Passing { retry_after: Self::RETRY_AFTER }
        }
    }
}

/// For calls that may be repeated without harm, such as receipts and typing: an unknown outcome is one to try again.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::UpstreamFailed {
            retry_after: match failure {
                Failure::Refused => None,
                Failure::Passing { retry_after } => Some(retry_after),
                Failure::Unknown => Some(Failure::RETRY_AFTER),
            },
        }
    }
}

/// A carrier. Called only after every check of the caller has passed.
pub trait Line: Send + Sync {
    /// Does one thing on one thread. Bounded: gives up after the line time-out with [`Failure::Unknown`]. Makes no
    /// retries of its own, since only the caller knows whether it still wants it done.
    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, Failure>>;
}
