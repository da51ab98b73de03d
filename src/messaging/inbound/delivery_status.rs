//! Delivery reports of carriers.

use crate::domain::DeliveryStatus;
use crate::error::{Error, Resource, Result};
use crate::store::Database;
use crate::store::messages::{self, DeliveryUpdate, UpdateOutcome};

/// Moves the delivery status of a sent message forward and returns its status. A report that comes late or twice changes
/// nothing.
///
/// # Errors
/// `NotFound` when no message was sent from the line with this provider id.
pub async fn update_delivery_status(db: &Database, update: DeliveryUpdate) -> Result<DeliveryStatus> {
    match messages::update_status(db, update).await? {
        UpdateOutcome::Status(status) => Ok(status),
        UpdateOutcome::UnknownLine => Err(Error::NotFound(Resource::Line)),
        UpdateOutcome::UnknownMessage => Err(Error::NotFound(Resource::Message)),
    }
}
