//! Sending a message to a human: idempotency, the checks, and the dispatch to the carrier.

mod dispatch;
mod idempotency;
mod reconcile;
mod validate;

use std::time::Duration;

use self::dispatch::{Dispatched, dispatch};
use self::idempotency::replay;
use self::reconcile::MAX_LOOKUP_DURATION;
pub use self::validate::{Content, validate_idempotency_key};
use crate::app::App;
use crate::carriers::{Accepted, CarrierError};
use crate::domain::{
    ConversationId, IdempotencyKey, IdentityId, Ineligible, Message, PhoneNumber, SendStyle, Tenant,
};
use crate::error::{Error, Resource, Result};
use crate::store::conversations::{self, ContactTarget, Recipient};
use crate::store::lines;
use crate::store::messages::Outcome;

/// What recording the carrier's answer may take after the carrier's own time limit.
const RECORD_MARGIN: Duration = Duration::from_secs(10);
/// Retry delay if a key was in use a moment ago and its message cannot be found.
const KEY_RETRY: Duration = Duration::from_secs(1);

/// Maximum time from the start of a send until its outcome is recorded. After it, the sending process must have died.
#[must_use]
pub fn max_send_duration(line_time_out: Duration) -> Duration {
    line_time_out + MAX_LOOKUP_DURATION + RECORD_MARGIN
}

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct SendRequest {
    pub target: SendTarget,
    /// The sending identity. Required with an admin key and [`SendTarget::Number`].
    pub identity_id: Option<IdentityId>,
    pub content: Content,
    pub send_style: Option<SendStyle>,
    pub idempotency_key: Option<IdempotencyKey>,
}

#[derive(Debug, Clone)]
pub enum SendTarget {
    Conversation(ConversationId),
    Number(PhoneNumber),
}

/// Sends a message, or returns the outcome of an earlier send with the same idempotency key. The returned message is
/// queued, or pending if the outcome is unknown. A send that has begun is completed even if the caller disconnects.
///
/// # Errors
/// In this order: `IdentityMismatch`, `NotFound`; those of the idempotency key; `IdentityNotEnabled`,
/// `RecipientBlocked`, `RecipientNotConnected`, `ConnectionReleased`, `RecipientHasNotMessaged`, `NotSupportedByCarrier`,
/// `RateLimited` (nothing is stored, and the key stays free); `UpstreamFailed` (stored as failed).
pub async fn send(app: &App, tenant: &Tenant, request: SendRequest) -> Result<Message> {
    let organization_id = &tenant.organization_id;
    let (identity_id, recipient) = find_recipient(app, tenant, &request).await?;
    // Before the checks: a repeated request gets the first outcome even if the recipient cannot be reached any more.
    let key = request.idempotency_key.clone();
    if let Some(first) = replay(app, organization_id, identity_id, key.as_ref()).await? {
        return Ok(first);
    }
    let target = recipient.check(app).await?;
    let sending = dispatch(app.clone(), organization_id.clone(), target, request);
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
    Number(Recipient),
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
            let recipient = conversations::recipient(&app.db, organization_id, identity_id, number)
                .await?
                .ok_or(Error::NotFound(Resource::Identity))?;
            Ok((identity_id, Found::Number(recipient)))
        }
    }
}

impl Found {
    async fn check(self, app: &App) -> Result<ContactTarget> {
        match self {
            Self::Conversation(target) => {
                target.eligibility.check_send()?;
                Ok(target)
            }
            Self::Number(recipient) => match recipient.into_target() {
                Err(Ineligible::RecipientNotConnected { connect_command }) => {
                    let router_number = lines::router_number(&app.db).await?;
                    Err(Error::RecipientNotConnected { router_number, connect_command })
                }
                checked => Ok(checked?),
            },
        }
    }
}

/// A carrier's answer as the message stores it.
fn outcome_of(answer: &Result<Accepted, CarrierError>) -> Outcome {
    match answer {
        Ok(Accepted { provider_message_id }) => {
            Outcome::Accepted { provider_message_id: provider_message_id.clone() }
        }
        Err(CarrierError::Unknown) => Outcome::Unknown,
        Err(failure) => Outcome::Failed { code: failure.code().to_owned(), message: failure.to_string() },
    }
}
