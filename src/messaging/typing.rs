//! The typing indicator.

use crate::app::App;
use crate::carriers::Action;
use crate::domain::{ConversationId, Tenant};
use crate::error::{Error, Resource, Result};
use crate::store::conversations::{self, ContactTarget};

/// Shows the typing indicator on the human's phone. Succeeds without showing it if a message is about to be sent, which
/// would clear it.
///
/// # Errors
/// `NotFound`, `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased`, `RecipientOptedOut`, `Overloaded`, `RateLimited`,
/// `UpstreamFailed`, `NotSupportedByCarrier`.
pub async fn send_typing(app: &App, tenant: &Tenant, id: ConversationId) -> Result<()> {
    let organization_id = &tenant.organization_id;
    // Before the wait, so that a conversation that is not visible reads like one that does not exist, also in time.
    check(app, tenant, id).await?;
    app.admission.begin_carrier_call()?;
    let Some(turn) = app.queues.enter_typing(organization_id, id).await? else { return Ok(()) };
    let target = check(app, tenant, id).await?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    app.actions.count(target.identity_id)?;
    let thread = target.thread(organization_id);
    tokio::select! {
        shown = carrier.perform(&thread, Action::Typing) => shown.map(drop).map_err(Into::into),
        () = turn.cancelled.cancelled() => Ok(()),
    }
}

async fn check(app: &App, tenant: &Tenant, id: ConversationId) -> Result<ContactTarget> {
    let target = conversations::target(&app.db, &tenant.organization_id, tenant.identity_id, id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.check()?;
    Ok(target)
}
