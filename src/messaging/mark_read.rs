//! Marking a conversation as read.

use crate::app::App;
use crate::carriers::Action;
use crate::domain::{ConversationId, OrganizationId, Tenant};
use crate::error::{Error, Resource, Result};
use crate::store::conversations::{self, ContactTarget};

/// Sends a read receipt and then marks the messages as read that existed when the call began. Returns the number of
/// messages that became read.
///
/// The receipt is sent on every call, also if nothing is unread. Messages are marked only after the carrier has accepted
/// the receipt, so a failed call can be repeated; they are then marked even if the caller disconnects.
///
/// # Errors
/// `NotFound`, `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased`, `Overloaded`, `RateLimited`,
/// `UpstreamFailed`.
pub async fn mark_read(app: &App, tenant: &Tenant, id: ConversationId) -> Result<i32> {
    let target = conversations::target(&app.db, &tenant.organization_id, tenant.identity_id, id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.check_receipt()?;
    app.admission.begin_carrier_call()?;
    app.run_to_completion(send_receipt_and_mark(app.clone(), tenant.organization_id.clone(), target)).await
}

async fn send_receipt_and_mark(
    app: App,
    organization_id: OrganizationId,
    target: ContactTarget,
) -> Result<i32> {
    let carrier = app.carriers.for_line(&target.line_number).await?;
    app.actions.count(target.identity_id)?;
    carrier.perform(&target.thread(&organization_id), Action::ReadReceipt).await?;
    // The horizon of the moment when the call began: the caller has not seen later messages. The phone shows "Read", so the
    // messages are marked even if the connection was released in the meantime.
    Ok(conversations::mark_read(&app.db, &organization_id, target.conversation_id, target.received_count)
        .await?)
}
