//! Replies to a message of the same conversation.

use super::request::Reply;
use crate::app::App;
use crate::carriers::{Action, Carrier, OutboundMessage};
use crate::domain::{IdentityId, MessageId, Tenant, View};
use crate::error::{Error, Resource, Result};
use crate::store::conversations::ContactTarget;
use crate::store::reactions::{self, ReactionTarget};
use crate::validation::Violations;

/// The message that a reply names, as the carrier knows it.
#[derive(Debug, Clone)]
pub(super) struct ReplyTo {
    target: ReactionTarget,
    may_be_plain: bool,
}

impl ReplyTo {
    /// Finds the message that a reply names.
    ///
    /// # Errors
    /// `NotFound` if the caller sees no such message.
    pub(super) async fn find(
        app: &App,
        tenant: &Tenant,
        identity_id: IdentityId,
        reply: Reply,
    ) -> Result<Self> {
        let view = View::of(tenant, None);
        let organization_id = &tenant.organization_id;
        let found =
            reactions::target(&app.db, organization_id, Some(identity_id), view, reply.message_id).await?;
        let target = found.ok_or(Error::NotFound(Resource::Message))?;
        Ok(Self { target, may_be_plain: reply.may_be_plain })
    }

    /// # Errors
    /// `InvalidArgument` if the message is of another conversation than the recipient's.
    pub(super) fn check_conversation(&self, recipient: &ContactTarget) -> Result<()> {
        let mut violations = Violations::default();
        if self.target.conversation_id != recipient.conversation_id {
            violations.add("reply_to_message_id", "must be a message of the same conversation");
        }
        violations.finish(|| Some(()))
    }

    /// The message id to store and the carrier's id; `None` if an ordinary message is to be sent.
    ///
    /// # Errors
    /// `NotSupportedByCarrier`, also if the carrier never named the message; `ConnectionReleased` if the message was on an
    /// earlier connection, whose line may be another one.
    pub(super) fn as_carrier_knows_it(
        &self,
        carrier: &dyn Carrier,
        recipient: &ContactTarget,
        message: OutboundMessage<'_>,
    ) -> Result<Option<(MessageId, String)>> {
        let is_current = recipient.check_on(self.target.assignment_id);
        let known = self.target.provider_message_id.as_deref().filter(|id| {
            carrier.supports(Action::Message(OutboundMessage { reply_to: Some(id), ..message }))
        });
        match (is_current, known) {
            (Ok(()), Some(id)) => Ok(Some((self.target.message_id, id.to_owned()))),
            _ if self.may_be_plain => Ok(None),
            (Err(released), _) => Err(released),
            (Ok(()), None) => Err(Error::NotSupportedByCarrier),
        }
    }
}
