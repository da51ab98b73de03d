//! The trait [`Carrier`] and the data that it takes and returns.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::Thread;
use super::error::CarrierError;
use crate::domain::{MessageId, PhoneNumber, ReactionType, SendStyle};

/// A client of one carrier. The caller has completed all of its own checks before it calls [`Carrier::perform`].
pub trait Carrier: Send + Sync {
    /// Whether the carrier has this feature at all. Callers ask before they store anything.
    fn supports(&self, _action: Action<'_>) -> bool {
        true
    }

    /// Performs one action on one thread. Returns [`CarrierError::Unknown`] after the carrier call timeout at the latest.
    /// Does not retry: only the caller knows whether the action is still wanted.
    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, CarrierError>>;

    /// Lists the messages at the carrier that may be this message, oldest first, without sending anything. The list is
    /// empty if the carrier has none, or if it has no way to look messages up.
    fn lookup<'a>(
        &'a self,
        _thread: &'a Thread,
        _message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<LookupMatch>, CarrierError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Lists what the carrier has of a line: what a webhook would have delivered, in the form in which the carrier records
    /// it. `carrier_webhooks` parses it.
    ///
    /// The page is empty at the end, and if the carrier keeps no records.
    fn list<'a>(
        &'a self,
        _line: &'a PhoneNumber,
        _page: ListRequest,
    ) -> BoxFuture<'a, Result<ListedPage, CarrierError>> {
        Box::pin(std::future::ready(Ok(ListedPage::Records(Vec::new()))))
    }

    /// Time after which a typing bubble is shown again, so that it does not disappear.
    fn typing_renewal(&self) -> Duration;

    /// Whether this client is configured to send from this line.
    fn serves(&self, _line: &PhoneNumber) -> bool {
        true
    }

    /// Whether a circuit breaker of this client is open or half-open, so that calls fail without a request.
    fn breaker_is_open(&self) -> bool {
        false
    }
}

/// A page of a carrier's records of a line, which are listed oldest first.
#[derive(Debug, Clone, Copy)]
pub struct ListRequest {
    /// Only records that are not older.
    pub since: DateTime<Utc>,
    /// Number of records to skip.
    pub offset: u32,
    /// Maximum number of records.
    pub limit: u32,
}

/// The answer to a [`ListRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum ListedPage {
    /// Oldest first.
    Records(Vec<Value>),
    /// The page is larger than a response may be. A smaller one may not be.
    TooLarge,
}

/// An action on the human's phone.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    /// Shows "Read" under the human's messages.
    ReadReceipt,
    /// Shows the typing bubble.
    Typing,
    /// Ends the typing bubble.
    TypingStop,
    /// Sends a message.
    Message(OutboundMessage<'a>),
    /// Adds a tapback to a message.
    Reaction(Tapback<'a>),
    /// Removes a tapback that the agent added.
    ReactionRemoval(Tapback<'a>),
}

impl Action<'_> {
    /// The action's name in metrics and traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReadReceipt => "read_receipt",
            Self::Typing => "typing",
            Self::TypingStop => "typing_stop",
            Self::Message(_) => "message",
            Self::Reaction(_) => "reaction",
            Self::ReactionRemoval(_) => "reaction_removal",
        }
    }
}

/// A message to send. At least one of `text` and `media_url` is set.
#[derive(Debug, Clone, Copy)]
pub struct OutboundMessage<'a> {
    /// This service's id of the message.
    pub id: MessageId,
    /// Text of the message.
    pub text: Option<&'a str>,
    /// Address of the attached file.
    pub media_url: Option<&'a str>,
    /// Bubble or screen effect.
    pub style: Option<SendStyle>,
    /// The carrier's id of the message that it replies to.
    pub reply_to: Option<&'a str>,
    /// Start of the send. A lookup considers only messages that are not older.
    pub at: DateTime<Utc>,
}

/// A tapback, and the message that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Tapback<'a> {
    /// The carrier's id of the message; `None` if the carrier never reported one.
    pub provider_message_id: Option<&'a str>,
    /// Kind of tapback.
    pub reaction: ReactionType,
    /// Part of the message (text and files are counted from 0).
    pub part_index: i32,
}

/// The carrier's confirmation of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The carrier's id of a message that was sent; `None` for other actions.
    pub provider_message_id: Option<String>,
}

/// A message at the carrier that may be the one whose send was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupMatch {
    /// The carrier's id of the message.
    pub provider_message_id: String,
    /// Set if the carrier gave up on the message.
    pub failure: Option<CarrierError>,
}
