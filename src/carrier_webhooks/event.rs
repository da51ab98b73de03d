//! What carriers deliver, in our own words. Nothing of it is checked yet.

use chrono::{DateTime, Utc};

use crate::carriers::{CarrierError, Said};
use crate::domain::DeliveryError;
use crate::messaging::inbound::{RawDeliveryUpdate, RawReaction, RawText};

/// One delivery.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A human sent something.
    Text(RawText),
    /// A human put a tapback on a message, or took it back.
    Tapback(RawReaction),
    /// How far a message of ours has come.
    News(News),
    /// Not for us, and why.
    Ignored(&'static str),
}

/// News of a message of ours.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub(super) given: RawDeliveryUpdate,
    /// What the message may also be known by.
    pub(super) other_id: Option<String>,
    /// When the carrier got the message; `None` where it does not tell.
    pub(super) sent_at: Option<DateTime<Utc>>,
}

/// Why a message failed, from the carrier's code for it. Agents read this, and a carrier's own words may hold a line's
/// number: so they are told in the words, and under the code, of a send that was refused at once.
pub(super) fn why(code: Option<&str>) -> DeliveryError {
    let said = code.and_then(|code| Said::new(code, "reported after it was taken"));
    let failure = CarrierError::Refused(said);
    DeliveryError { code: failure.code().to_owned(), message: failure.to_string() }
}
