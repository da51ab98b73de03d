//! The typing indicator: shown once, or for a duration, and ended.

mod lease;

use std::time::Duration;

use crate::app::App;
use crate::carriers::{Action, Carrier, TypingTurn};
use crate::domain::{ConversationId, Tenant};
use crate::error::{Error, Resource, Result};
use crate::store::conversations::{self, ContactTarget};
use lease::Lease;

/// Shows the typing indicator on the human's phone. Succeeds without showing it if a message is about to be sent, which
/// would clear it. With a duration, the indicator is then renewed until the duration has passed or something ends it: see
/// `lease`. Without one, a duration that is running goes on.
///
/// # Errors
/// `NotFound`, `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased`, `RecipientOptedOut`, `Overloaded` (also if
/// too many indicators are being renewed), `RateLimited`, `UpstreamFailed`, `NotSupportedByCarrier`.
pub async fn send_typing(
    app: &App,
    tenant: &Tenant,
    id: ConversationId,
    duration: Option<Duration>,
) -> Result<()> {
    let organization_id = &tenant.organization_id;
    // Before the wait, so that a conversation that is not visible reads like one that does not exist, also in time.
    check(app, tenant, id).await?;
    app.admission.begin_carrier_call()?;
    let Some(turn) = app.queues.enter_typing(organization_id, id).await? else { return Ok(()) };
    let target = check(app, tenant, id).await?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    if duration.is_some() {
        app.typing.check_room(organization_id, id)?;
    }
    app.actions.count(target.identity_id)?;
    let is_shown = perform(&*carrier, tenant, &target, Action::Typing, &turn).await?;
    // The turn is held until here, so that a message that is sent later ends the lease.
    match duration {
        Some(duration) if is_shown => Lease::start(app, tenant, &target, &*carrier, duration),
        _ => Ok(()),
    }
}

/// Ends the typing indicator: at once where the carrier can, and its renewal by this process in any case. Succeeds if there
/// is none.
///
/// # Errors
/// Those of [`send_typing`], without `NotSupportedByCarrier`.
pub async fn stop_typing(app: &App, tenant: &Tenant, id: ConversationId) -> Result<()> {
    let organization_id = &tenant.organization_id;
    let target = visible(app, tenant, id).await?;
    app.typing.end(organization_id, id);
    target.check()?;
    app.admission.begin_carrier_call()?;
    // Behind a renewal in progress, which would otherwise show the indicator again.
    let Some(turn) = app.queues.enter_typing(organization_id, id).await? else { return Ok(()) };
    let target = check(app, tenant, id).await?;
    let carrier = app.carriers.for_line(&target.line_number).await?;
    if !carrier.supports(Action::TypingStop) {
        return Ok(());
    }
    app.actions.count(target.identity_id)?;
    perform(&*carrier, tenant, &target, Action::TypingStop, &turn).await.map(drop)
}

/// Performs an action in its turn. False if it was cancelled for a message.
async fn perform(
    carrier: &dyn Carrier,
    tenant: &Tenant,
    target: &ContactTarget,
    action: Action<'_>,
    turn: &TypingTurn,
) -> Result<bool> {
    let thread = target.thread(&tenant.organization_id);
    tokio::select! {
        performed = carrier.perform(&thread, action) => Ok(performed.map(|_| true)?),
        () = turn.cancelled.cancelled() => Ok(false),
    }
}

async fn check(app: &App, tenant: &Tenant, id: ConversationId) -> Result<ContactTarget> {
    let target = visible(app, tenant, id).await?;
    target.check()?;
    Ok(target)
}

async fn visible(app: &App, tenant: &Tenant, id: ConversationId) -> Result<ContactTarget> {
    let target = conversations::target(&app.db, &tenant.organization_id, tenant.identity_id, id).await?;
    target.ok_or(Error::NotFound(Resource::Conversation))
}
