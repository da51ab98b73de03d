//! `ListConversations`.

use crate::app::App;
use crate::domain::{IdentityId, Principal, View};
use crate::error::{Error, Result};
use crate::grpc::wire::page_token::Binding;
use crate::grpc::wire::request::{RequestedPage, Violations};
use crate::grpc::wire::scope::{Caller as _, identity_named_by_admin, listed_identity};
use crate::proto::{ListConversationsRequest, ListConversationsResponse};
use crate::store;

struct Parsed {
    identity_id: Option<IdentityId>,
    is_blocked: Option<bool>,
    page: RequestedPage,
}

fn parse(message: &ListConversationsRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let identity_id = fields.optional_id("agent_identity_id", message.agent_identity_id.as_deref());
    let page = fields.page(message.limit, message.offset, &message.page_token);
    fields.finish(|| Some(Parsed { identity_id: identity_id?, is_blocked: message.is_blocked, page: page? }))
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    message: ListConversationsRequest,
) -> Result<ListConversationsResponse> {
    let request = parse(&message)?;
    let tenant = caller.tenant()?;
    let identity_id = listed_identity(tenant, request.identity_id)?;
    let view = View::of(tenant, request.is_blocked);
    let binding = Binding::new("ListConversations", &tenant.organization_id, identity_id, view.name());
    let page = binding.open(&request.page)?;
    let named = identity_named_by_admin(app, tenant, identity_id).await?;
    if named.is_some_and(|identity| !identity.imessage_enabled) {
        return Err(Error::IdentityNotEnabled);
    }
    let page = store::conversations::list(&app.db, &tenant.organization_id, identity_id, view, &page).await?;
    Ok(ListConversationsResponse {
        next_page_token: binding.next(&page),
        conversations: page.rows.into_iter().map(Into::into).collect(),
    })
}
