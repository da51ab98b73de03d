//! `ListMessages`.

use crate::app::App;
use crate::domain::{ConversationId, IdentityId, Principal, View};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::page_token::Binding;
use crate::grpc::wire::request::{RequestedPage, Violations};
use crate::grpc::wire::scope::{Caller as _, identity_named_by_admin, listed_identity};
use crate::proto::{ListMessagesRequest, ListMessagesResponse};
use crate::store;
use crate::store::messages::{MessageFilter, MessageScope};

struct Parsed {
    identity_id: Option<IdentityId>,
    conversation_id: Option<ConversationId>,
    page: RequestedPage,
}

fn parse(message: &ListMessagesRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let identity_id = fields.optional_id("agent_identity_id", message.agent_identity_id.as_deref());
    let conversation_id = fields.optional_id("conversation_id", message.conversation_id.as_deref());
    let page = fields.page(message.limit, message.offset, &message.page_token);
    fields
        .finish(|| Some(Parsed { identity_id: identity_id?, conversation_id: conversation_id?, page: page? }))
}

/// The filters as page tokens contain them. The spelling is part of every token that clients hold, on every replica and
/// release: it must not change (tests/api/freeze/page_tokens.rs).
fn filters_in_token(filter: MessageFilter, conversation_id: Option<ConversationId>) -> String {
    let view = filter.view.name();
    let is_read = match filter.is_read {
        None => "None",
        Some(false) => "Some(false)",
        Some(true) => "Some(true)",
    };
    match conversation_id {
        None => format!("{view} {is_read} None"),
        Some(id) => format!("{view} {is_read} Some(ConversationId({}))", id.uuid()),
    }
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    message: ListMessagesRequest,
) -> Result<ListMessagesResponse> {
    let request = parse(&message)?;
    let tenant = caller.tenant()?;
    let organization_id = &tenant.organization_id;
    let identity_id = listed_identity(tenant, request.identity_id)?;
    let filter = MessageFilter { view: View::of(tenant, message.is_blocked), is_read: message.is_read };
    let scope = match (request.conversation_id, identity_id) {
        (Some(id), _) => MessageScope::Conversation(id),
        (None, Some(id)) => MessageScope::Identity(id),
        (None, None) => MessageScope::Organization,
    };
    // A conversation belongs to one identity, so naming that identity as well selects the same rows.
    let bound_identity = identity_id.filter(|_| request.conversation_id.is_none());
    let filters = filters_in_token(filter, request.conversation_id);
    let binding = Binding::new("ListMessages", organization_id, bound_identity, &filters);
    let page = binding.open(&request.page)?;
    identity_named_by_admin(app, tenant, identity_id).await?;
    if let Some(id) = request.conversation_id {
        let conversation = store::conversations::get(&app.db, organization_id, identity_id, id).await?;
        conversation.ok_or(Error::NotFound(Resource::Conversation))?;
    }
    let page = store::messages::list(&app.db, organization_id, scope, filter, &page).await?;
    Ok(ListMessagesResponse {
        next_page_token: binding.next(&page),
        messages: page.rows.into_iter().map(Into::into).collect(),
    })
}
