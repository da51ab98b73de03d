//! Waiting for messages on their way.

use tokio::time::Instant;

use crate::app::App;
use crate::domain::OrganizationId;
use crate::error::Result;
use crate::messaging::outbound::max_send_duration;
use crate::store::connections::{self, SendsOf};

/// Waits until none of these messages is on its way to a phone. Called after a change that forbids them and before the
/// change is acknowledged: sends that begin later are rejected, and those that began before have ended.
///
/// # Errors
/// `StorageUnavailable`; the change is committed all the same.
pub async fn settle(app: &App, organization_id: &OrganizationId, sends: SendsOf<'_>) -> Result<()> {
    let deadline = Instant::now() + max_send_duration(app.limits.line_time_out);
    Ok(connections::wait_for_sends(&app.db, organization_id, sends, deadline).await?)
}
