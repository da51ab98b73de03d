//! `ListIdentities`.

use crate::app::App;
use crate::domain::Principal;
use crate::error::Result;
use crate::grpc::wire::page_token::Binding;
use crate::grpc::wire::request::{RequestedPage, Violations};
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{ListIdentitiesRequest, ListIdentitiesResponse};
use crate::store;

fn parse(message: &ListIdentitiesRequest) -> Result<RequestedPage> {
    let mut fields = Violations::default();
    let page = fields.page(message.limit, None, &message.page_token);
    fields.finish(|| page)
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    message: ListIdentitiesRequest,
) -> Result<ListIdentitiesResponse> {
    let page = parse(&message)?;
    let tenant = caller.admin()?;
    let binding = Binding::new("ListIdentities", &tenant.organization_id, None, "");
    let page = binding.open(&page)?;
    let page = store::identities::list(&app.db, &tenant.organization_id, &page).await?;
    Ok(ListIdentitiesResponse {
        next_page_token: binding.next(&page),
        identities: page.rows.into_iter().map(Into::into).collect(),
    })
}
