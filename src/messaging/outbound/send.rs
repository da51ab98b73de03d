//! The use case of a send: find the recipient, replay an earlier send with the same key, check, dispatch.

use std::time::Duration;

use super::dispatch::{Dispatched, current_target, dispatch};
use super::idempotency::replay;
use super::reply::ReplyTo;
use super::request::{SendRequest, SendTarget};
use crate::app::App;
use crate::domain::{IdentityId, Ineligible, Message, PhoneNumber, Tenant};
use crate::error::{Error, Resource, Result};
use crate::store::conversations::{self, ContactTarget, Recipient};
use crate::store::lines;

/// Retry delay if a key was in use a moment ago and its message cannot be found.
const KEY_RETRY: Duration = Duration::from_secs(1);

/// Sends a message, or returns the outcome of an earlier send with the same idempotency key. The returned message is
/// queued, or pending if the outcome is unknown. A send that has begun is completed even if the caller disconnects.
///
/// # Errors
/// In this order: `IdentityMismatch`, `NotFound`; those of the idempotency key; `NotFound` of the message that is replied
/// to; `IdentityNotEnabled`, `RecipientBlocked`, `RecipientNotConnected`, `ConnectionReleased`, `RecipientOptedOut`,
/// `RecipientHasNotMessaged`, `NotSupportedByCarrier`,
/// `RateLimited`, `Overloaded` (nothing is stored, and the key stays free); `UpstreamFailed` (stored as failed). The
/// checks are made again when the conversation's queue reaches the send.
pub async fn send(app: &App, tenant: &Tenant, request: SendRequest) -> Result<Message> {
    let organization_id = &tenant.organization_id;
    let (identity_id, recipient) = find_recipient(app, tenant, &request).await?;
    // Before the checks: a repeated request gets the first outcome even if the recipient cannot be reached any more.
    let key = request.idempotency_key.clone();
    if let Some(first) = replay(app, organization_id, identity_id, key.as_ref()).await? {
        return Ok(first);
    }
    // Visibility comes before eligibility, as everywhere.
    let reply_to = match request.reply {
        Some(reply) => Some(ReplyTo::find(app, tenant, identity_id, reply).await?),
        None => None,
    };
    let mut target = recipient.check(app).await?;
    if let Some(reply_to) = &reply_to {
        reply_to.check_conversation(&target)?;
    }
    app.admission.begin_carrier_call()?;
    let turn = app.queues.enter(organization_id, target.conversation_id).await?;
    if turn.has_waited() {
        target = current_target(app, organization_id, target.conversation_id).await?;
    }
    let sending = dispatch(app.clone(), organization_id.clone(), target, request, reply_to, turn);
    match app.run_to_completion(sending).await? {
        Dispatched::Sent(message) => Ok(*message),
        Dispatched::DuplicateKey => {
            let first = replay(app, organization_id, identity_id, key.as_ref()).await?;
            // Retention or an erasure deleted the key or its message in between.
            first.ok_or(Error::IdempotencyInProgress { retry_after: KEY_RETRY })
        }
    }
}

/// The recipient of a send, visible to the caller but not checked yet.
enum Found {
    Conversation(ContactTarget),
    Number(PhoneNumber, Recipient),
}

async fn find_recipient(app: &App, tenant: &Tenant, request: &SendRequest) -> Result<(IdentityId, Found)> {
    let organization_id = &tenant.organization_id;
    let identity_id = tenant.identity_scope(request.identity_id)?;
    match &request.target {
        SendTarget::Conversation(id) => {
            let target = conversations::target(&app.db, organization_id, identity_id, *id)
                .await?
                .ok_or(Error::NotFound(Resource::Conversation))?;
            Ok((target.identity_id, Found::Conversation(target)))
        }
        SendTarget::Number(number) => {
            let identity_id = identity_id.ok_or(Error::NotFound(Resource::Identity))?;
            let recipient = find_number(app, tenant, identity_id, number).await?;
            Ok((identity_id, Found::Number(number.clone(), recipient)))
        }
    }
}

/// Looks for the number, and if it is unknown for the form under which an earlier version stored the human.
async fn find_number(
    app: &App,
    tenant: &Tenant,
    identity_id: IdentityId,
    number: &PhoneNumber,
) -> Result<Recipient> {
    let find = |form: PhoneNumber| async move {
        let recipient =
            conversations::recipient(&app.db, &tenant.organization_id, identity_id, &form).await?;
        recipient.ok_or(Error::NotFound(Resource::Identity))
    };
    let found = find(number.clone()).await?;
    if found.is_unknown() {
        for form in number.forms().into_iter().filter(|form| form != number) {
            let former = find(form).await?;
            if !former.is_unknown() {
                return Ok(former);
            }
        }
    }
    Ok(found)
}

impl Found {
    async fn check(self, app: &App) -> Result<ContactTarget> {
        match self {
            Self::Conversation(target) => {
                target.check_send()?;
                Ok(target)
            }
            Self::Number(number, recipient) => match recipient.into_target() {
                Err(Ineligible::RecipientNotConnected { connect_command }) => {
                    let router_number = lines::router_number(&app.db).await?;
                    Err(Error::RecipientNotConnected { router_number, connect_command })
                }
                checked => checked.map_err(|ineligible| Error::ineligible(ineligible, &number)),
            },
        }
    }
}
