//! `ListMessages`.

use crate::app::App;
use crate::auth::find_named_identity;
use crate::domain::{ConversationId, IdentityId, Principal, TimeRange, View};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::convert::message_for;
use crate::grpc::wire::page_token::{ListBinding, RequestedPage, range_in_token};
use crate::grpc::wire::request::Violations;
use crate::proto::{ListMessagesRequest, ListMessagesResponse};
use crate::store;
use crate::store::messages::{MessageFilter, MessageScope};

struct Params {
    identity_id: Option<IdentityId>,
    conversation_id: Option<ConversationId>,
    created: TimeRange,
    page: RequestedPage,
}

fn parse(request: &ListMessagesRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let identity_id = violations.optional_id("agent_identity_id", request.agent_identity_id.as_deref());
    let conversation_id = violations.optional_id("conversation_id", request.conversation_id.as_deref());
    let page = violations.page(request.limit, request.offset, &request.page_token);
    let created = violations.time_range(request.start_time, request.end_time);
    violations.finish(|| {
        Some(Params {
            identity_id: identity_id?,
            conversation_id: conversation_id?,
            created: created?,
            page: page?,
        })
    })
}

/// The filters as page tokens contain them. The spelling is part of every token that clients hold, on every replica and
/// release: it must not change (`tests/api/freeze/page_tokens.rs`).
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
    request: ListMessagesRequest,
) -> Result<ListMessagesResponse> {
    let params = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let organization_id = &tenant.organization_id;
    let identity_id = tenant.identity_scope(params.identity_id)?;
    let filter = MessageFilter {
        view: View::of(tenant, request.is_blocked),
        is_read: request.is_read,
        created: params.created,
    };
    let scope = match (params.conversation_id, identity_id) {
        (Some(id), _) => MessageScope::Conversation(id),
        (None, Some(id)) => MessageScope::Identity(id),
        (None, None) => MessageScope::Organization,
    };
    // A conversation belongs to one identity, so naming that identity as well selects the same rows.
    let bound_identity = identity_id.filter(|_| params.conversation_id.is_none());
    let filters = filters_in_token(filter, params.conversation_id)
        + &range_in_token(request.start_time, request.end_time);
    let binding = ListBinding::new("ListMessages", organization_id, bound_identity, &filters);
    let page = binding.start_of(&params.page)?;
    find_named_identity(&app.db, tenant, identity_id).await?;
    if let Some(id) = params.conversation_id {
        let conversation = store::conversations::get(&app.db, organization_id, identity_id, id).await?;
        conversation.ok_or(Error::NotFound(Resource::Conversation))?;
    }
    let page = store::messages::list(&app.db, organization_id, scope, filter, &page).await?;
    Ok(ListMessagesResponse {
        next_page_token: binding.next_token(&page),
        messages: page.rows.into_iter().map(|message| message_for(tenant, message)).collect(),
    })
}
