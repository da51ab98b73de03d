//! `ListConnections`.

use crate::app::App;
use crate::domain::{IdentityId, Principal};
use crate::error::Result;
use crate::grpc::wire::page_token::Binding;
use crate::grpc::wire::request::{RequestedPage, Violations};
use crate::grpc::wire::scope::{Caller as _, identity_named_by_admin, listed_identity};
use crate::proto::{ListConnectionsRequest, ListConnectionsResponse};
use crate::store;

struct Parsed {
    identity_id: Option<IdentityId>,
    page: RequestedPage,
}

fn parse(message: &ListConnectionsRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let identity_id = fields.optional_id("agent_identity_id", message.agent_identity_id.as_deref());
    let page = fields.page(message.limit, message.offset, &message.page_token);
    fields.finish(|| Some(Parsed { identity_id: identity_id?, page: page? }))
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    message: ListConnectionsRequest,
) -> Result<ListConnectionsResponse> {
    let request = parse(&message)?;
    let tenant = caller.tenant()?;
    let identity_id = listed_identity(tenant, request.identity_id)?;
    let binding = Binding::new("ListConnections", &tenant.organization_id, identity_id, "");
    let page = binding.open(&request.page)?;
    identity_named_by_admin(app, tenant, identity_id).await?;
    let page = store::connections::list(&app.db, &tenant.organization_id, identity_id, &page).await?;
    Ok(ListConnectionsResponse {
        next_page_token: binding.next(&page),
        connections: page.rows.into_iter().map(Into::into).collect(),
    })
}
