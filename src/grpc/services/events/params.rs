//! What both RPCs ask for: whose events, which, and after which one.

use crate::app::App;
use crate::auth::find_named_identity;
use crate::domain::{ConversationId, EventType, IdentityId, Tenant, View};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::messaging::events::{EventFilter, Place, SealedCursors};
use crate::store;

/// The fields of a request, as it states them.
pub(super) struct Requested<'a> {
    pub(super) agent_identity_id: Option<&'a str>,
    pub(super) conversation_id: Option<&'a str>,
    pub(super) types: &'a [i32],
    pub(super) is_blocked: Option<bool>,
}

pub(super) struct Params {
    identity_id: Option<IdentityId>,
    conversation_id: Option<ConversationId>,
    types: Vec<EventType>,
    is_blocked: Option<bool>,
}

impl Params {
    /// `None` if a field is invalid, which was added to `violations`.
    pub(super) fn parse(violations: &mut Violations, requested: &Requested<'_>) -> Option<Self> {
        let identity_id = violations.optional_id("agent_identity_id", requested.agent_identity_id);
        let conversation_id = violations.optional_id("conversation_id", requested.conversation_id);
        let mut types = Some(Vec::with_capacity(requested.types.len().min(16)));
        for (i, number) in requested.types.iter().enumerate() {
            let parsed = violations.required_enum(&format!("types[{i}]"), *number, EventType::from_wire);
            match (&mut types, parsed) {
                (Some(types), Some(parsed)) if types.contains(&parsed) => {}
                (Some(types), Some(parsed)) => types.push(parsed),
                _ => types = None,
            }
        }
        Some(Self {
            identity_id: identity_id?,
            conversation_id: conversation_id?,
            types: types?,
            is_blocked: requested.is_blocked,
        })
    }

    /// The identity to whose events the caller is restricted.
    pub(super) fn identity_scope(&self, tenant: &Tenant) -> Result<Option<IdentityId>> {
        tenant.identity_scope(self.identity_id)
    }

    /// Checks that what the request names is visible to the caller.
    pub(super) async fn filter(self, app: &App, tenant: &Tenant) -> Result<EventFilter> {
        let identity_id = self.identity_scope(tenant)?;
        find_named_identity(&app.db, tenant, identity_id).await?;
        if let Some(id) = self.conversation_id {
            let organization_id = &tenant.organization_id;
            let conversation = store::conversations::get(&app.db, organization_id, identity_id, id).await?;
            conversation.ok_or(Error::NotFound(Resource::Conversation))?;
        }
        Ok(EventFilter {
            identity_id,
            conversation_id: self.conversation_id,
            types: self.types,
            view: View::of(tenant, self.is_blocked),
        })
    }
}

/// The place of a cursor; `None` for an empty one.
pub(super) fn place_of(cursors: &SealedCursors, tenant: &Tenant, after: &str) -> Result<Option<Place>> {
    if after.is_empty() {
        return Ok(None);
    }
    let place = cursors.open(&tenant.organization_id, after);
    place
        .map(Some)
        .ok_or_else(|| Error::invalid("after", "must be a cursor of this organization, as events have it"))
}
