//! `ListConversations`.

use crate::app::App;
use crate::auth::find_named_identity;
use crate::domain::{Principal, TimeRange, View};
use crate::error::{Error, Result};
use crate::grpc::wire::page_token::{ListBinding, range_in_token};
use crate::grpc::wire::request::{ListParams, Violations};
use crate::proto::{ListConversationsRequest, ListConversationsResponse};
use crate::store;

fn parse(request: &ListConversationsRequest) -> Result<(ListParams, TimeRange)> {
    let mut violations = Violations::default();
    let created = violations.time_range(request.start_time, request.end_time);
    let params = violations.list_params(
        request.agent_identity_id.as_deref(),
        request.limit,
        request.offset,
        &request.page_token,
    );
    violations.finish(|| Some((params?, created?)))
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    request: ListConversationsRequest,
) -> Result<ListConversationsResponse> {
    let (params, created) = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let identity_id = tenant.identity_scope(params.identity_id)?;
    let view = View::of(tenant, request.is_blocked);
    let filters = format!("{}{}", view.name(), range_in_token(request.start_time, request.end_time));
    let binding = ListBinding::new("ListConversations", &tenant.organization_id, identity_id, &filters);
    let page = binding.start_of(&params.page)?;
    let named = find_named_identity(&app.db, tenant, identity_id).await?;
    if named.is_some_and(|identity| !identity.imessage_enabled) {
        return Err(Error::IdentityNotEnabled);
    }
    let organization_id = &tenant.organization_id;
    let page =
        store::conversations::list(&app.db, organization_id, identity_id, view, created, &page).await?;
    Ok(ListConversationsResponse {
        next_page_token: binding.next_token(&page),
        conversations: page.rows.into_iter().map(Into::into).collect(),
    })
}
