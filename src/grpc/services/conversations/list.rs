//! `ListConversations`.

use crate::app::App;
use crate::auth::find_named_identity;
use crate::domain::{Principal, View};
use crate::error::{Error, Result};
use crate::grpc::wire::page_token::ListBinding;
use crate::grpc::wire::request::{ListParams, Violations};
use crate::proto::{ListConversationsRequest, ListConversationsResponse};
use crate::store;

fn parse(request: &ListConversationsRequest) -> Result<ListParams> {
    let mut violations = Violations::default();
    let params = violations.list_params(
        request.agent_identity_id.as_deref(),
        request.limit,
        request.offset,
        &request.page_token,
    );
    violations.finish(|| params)
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    request: ListConversationsRequest,
) -> Result<ListConversationsResponse> {
    let params = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let identity_id = tenant.identity_scope(params.identity_id)?;
    let view = View::of(tenant, request.is_blocked);
    let binding = ListBinding::new("ListConversations", &tenant.organization_id, identity_id, view.name());
    let page = binding.start_of(&params.page)?;
    let named = find_named_identity(&app.db, tenant, identity_id).await?;
    if named.is_some_and(|identity| !identity.imessage_enabled) {
        return Err(Error::IdentityNotEnabled);
    }
    let page = store::conversations::list(&app.db, &tenant.organization_id, identity_id, view, &page).await?;
    Ok(ListConversationsResponse {
        next_page_token: binding.next_token(&page),
        conversations: page.rows.into_iter().map(Into::into).collect(),
    })
}
