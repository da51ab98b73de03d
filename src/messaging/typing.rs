//! The typing indicator.

use crate::app::App;
use crate::carriers::Action;
use crate::domain::{ConversationId, Tenant};
use crate::error::{Error, Resource, Result};
use crate::store::conversations;

/// Shows the typing indicator on the human's phone.
///
/// # Errors
/// `NotFound`, `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased`, `UpstreamFailed`, `NotSupportedByCarrier`.
pub async fn send_typing(app: &App, tenant: &Tenant, id: ConversationId) -> Result<()> {
    let organization_id = &tenant.organization_id;
    // Enters the queue before any lookup: an indicator must not reach the phone after a message that was requested later,
    // because nothing would clear it.
    let _turn = app.queues.enter(organization_id, id).await;
    let target = conversations::target(&app.db, organization_id, tenant.identity_id, id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.eligibility.check()?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    carrier.perform(&target.thread(organization_id), Action::Typing).await?;
    Ok(())
}
