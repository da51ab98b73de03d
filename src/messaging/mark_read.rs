//! Marking a conversation as read.

use crate::app::App;
use crate::carriers::Action;
use crate::domain::{ConversationId, MessageId, OrganizationId, Tenant, View};
use crate::error::{Error, Resource, Result};
use crate::store::conversations::{self, ContactTarget};

/// Sends a read receipt and then marks the messages as read that existed when the call began, or those that arrived up to
/// and including `up_to`. Returns the number of messages that became read.
///
/// The receipt is sent on every call, also if nothing is unread. Messages are marked only after the carrier has accepted
/// the receipt, so a failed call can be repeated; they are then marked even if the caller disconnects.
///
/// # Errors
/// `NotFound` of the conversation, or of the message: `up_to` must be an inbound message of the conversation that the caller
/// may see. `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased`, `Overloaded`, `RateLimited`, `UpstreamFailed`.
pub async fn mark_read(
    app: &App,
    tenant: &Tenant,
    id: ConversationId,
    up_to: Option<MessageId>,
) -> Result<i32> {
    let target = conversations::target(&app.db, &tenant.organization_id, tenant.identity_id, id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    // Visibility comes before eligibility, as everywhere.
    let horizon = match up_to {
        None => target.received_count,
        Some(message_id) => {
            let view = View::of(tenant, None);
            conversations::horizon_of(&app.db, &tenant.organization_id, view, id, message_id)
                .await?
                .ok_or(Error::NotFound(Resource::Message))?
        }
    };
    target.check_receipt()?;
    app.admission.begin_carrier_call()?;
    app.run_to_completion(send_receipt_and_mark(app.clone(), tenant.organization_id.clone(), target, horizon))
        .await
}

async fn send_receipt_and_mark(
    app: App,
    organization_id: OrganizationId,
    target: ContactTarget,
    horizon: i32,
) -> Result<i32> {
    let carrier = app.carriers.for_line(&target.line_number).await?;
    app.actions.count(target.identity_id)?;
    carrier.perform(&target.thread(&organization_id), Action::ReadReceipt).await?;
    // A horizon of the time when the call began: the caller has not seen later messages. The phone shows "Read", so the
    // messages are marked even if the connection was released since then.
    Ok(conversations::mark_read(&app.db, &organization_id, target.conversation_id, horizon).await?)
}
