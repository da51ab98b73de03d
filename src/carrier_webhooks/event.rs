//! What a webhook reports, independent of the carrier. Values are not validated yet.

use chrono::{DateTime, Utc};

use crate::carriers::{CarrierError, CarrierReason};
use crate::domain::DeliveryError;
use crate::messaging::inbound::{Change, RawDeliveryUpdate, RawReaction, RawText};

#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A human sent a message.
    Text(RawText),
    /// A human sent a message that has neither a text nor a file yet, and not to a group.
    Empty(RawText),
    /// A message of a human was delivered again, changed or completed. Its chat may be that of a group.
    Update(RawText, Change),
    /// A message was sent from the account of a line, by this service or by hand; and another id by which this service may
    /// know it.
    Sent(RawText, Option<String>),
    /// A human added a tapback to a message, or removed one.
    Tapback(RawReaction),
    /// The delivery status of an outbound message.
    Status(StatusUpdate),
    /// The webhook is not relevant to this service, for this reason.
    Ignored(&'static str),
}

impl Event {
    /// Whether its message may be looked for again for a while, because the request that stores it may be in progress.
    pub(super) const fn may_wait(&self) -> bool {
        matches!(self, Self::Update(..))
    }
}

#[derive(Debug, Clone)]
pub(super) struct StatusUpdate {
    pub(super) update: RawDeliveryUpdate,
    /// Another id by which the message may be stored.
    pub(super) other_id: Option<String>,
    /// Time at which the carrier received the message; `None` if it is not reported.
    pub(super) sent_at: Option<DateTime<Utc>>,
    /// The message, if the webhook contains it and it was not rejected.
    pub(super) message: Option<RawText>,
}

/// The error of a failed message, from the carrier's error code. The error is shown to agents, and the carrier's own
/// description may contain the phone number of a line. So it gets the text and the code of a send that was rejected.
pub(super) fn delivery_error(code: Option<&str>) -> DeliveryError {
    let reason = code.and_then(|code| CarrierReason::new(code, "reported after it was taken"));
    let error = CarrierError::Rejected(reason);
    DeliveryError { code: error.code().to_owned(), message: error.to_string() }
}
