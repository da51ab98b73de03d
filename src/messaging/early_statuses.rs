//! Delivery reports that arrive before the send of their message has recorded the carrier's id.

use crate::domain::PhoneNumber;
use crate::error::{Error, Resource, Result};
use crate::store::Database;
use crate::store::messages::{self, DeliveryUpdate, UpdateOutcome};

/// What became of a report whose message is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyOutcome {
    /// It is kept. The send of its message applies it.
    Kept,
    /// The send has recorded the message in the meantime, and the report is applied.
    Applied,
    /// Too many are kept.
    Full,
}

/// Keeps a report that arrived before the send of its message has recorded the carrier's id. The result is committed.
///
/// # Errors
/// `NotFound` when there is no line with this number.
pub async fn keep(db: &Database, update: DeliveryUpdate) -> Result<EarlyOutcome> {
    if !messages::keep_early(db, &update).await? {
        return Ok(EarlyOutcome::Full);
    }
    // A send that recorded the id before looks for reports before this one was kept. One that records it later finds it.
    match messages::update_status(db, update).await? {
        UpdateOutcome::Status(_) => Ok(EarlyOutcome::Applied),
        UpdateOutcome::UnknownMessage => Ok(EarlyOutcome::Kept),
        UpdateOutcome::UnknownLine => Err(Error::NotFound(Resource::Line)),
    }
}

/// Applies the reports that arrived before the carrier's id of a message was recorded. Called after that is committed.
///
/// # Errors
/// `StorageUnavailable`.
pub async fn apply(db: &Database, line_number: &PhoneNumber, provider_message_id: &str) -> Result<()> {
    for update in messages::list_early(db, line_number, provider_message_id).await? {
        messages::update_status(db, update).await?;
    }
    Ok(())
}
