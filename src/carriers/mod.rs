//! Lines: what really reaches a human's phone.
//!
//! To add a carrier: implement [`Line`] in a folder of its own, judge every answer of its API in one pure function
//! there, give it a number in `domain::CarrierKind`, settings in [`CarrierSettings`], and add it to [`CarrierSettings::lines`].

mod bluebubbles;
mod client;
mod conversation_queue;
mod error;
mod instrumented;
mod registry;
mod sandbox;
mod sendblue;
mod settings;

pub use conversation_queue::{ConversationQueues, QueueGuard, QueueStats};
pub use error::{CarrierError, Said};
pub use registry::{CarrierRegistry, NotConfigured};
pub use sandbox::{Delivery, DeliveryKind, Sandbox};
pub use settings::{BreakerSettings, CarrierConfigError, CarrierSettings, Credential, Mac, SendblueSettings};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use crate::domain::{MessageId, PhoneNumber, ReactionType, SendStyle};
pub use crate::domain::{Thread, ThreadOwner};

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
    /// When its send began.
    pub at: DateTime<Utc>,
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

/// What a carrier knows of a message that it was given and gave no answer on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The carrier's id of it.
    pub provider_message_id: String,
    /// Why it went no further, if it did not.
    pub failure: Option<CarrierError>,
}

/// A carrier. Called only after every check of the caller has passed.
pub trait Carrier: Send + Sync {
    /// Whether the carrier can do this at all. To be asked before anything is written down.
    fn supports(&self, _action: Action<'_>) -> bool {
        true
    }

    /// Does one thing on one thread. Bounded: gives up after the line time-out with [`CarrierError::Unknown`]. Makes no
    /// retries of its own, since only the caller knows whether it still wants it done.
    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, CarrierError>>;

    /// What the carrier has that may be this message, oldest first: sends nothing. Empty where it has nothing, and
    /// where it cannot tell.
    fn look_up<'a>(
        &'a self,
        _thread: &'a Thread,
        _message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<Found>, CarrierError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Whether it is set up to speak from this number.
    fn serves(&self, _number: &PhoneNumber) -> bool {
        true
    }

    /// Whether calls are refused at once, because the carrier was seen to be down.
    fn is_cut_off(&self) -> bool {
        false
    }
}
