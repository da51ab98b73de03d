//! `ListApiKeys`.

use crate::app::App;
use crate::domain::Principal;
use crate::error::Result;
use crate::grpc::wire::page_token::Binding;
use crate::grpc::wire::request::{RequestedPage, Violations};
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{ListApiKeysRequest, ListApiKeysResponse};
use crate::store;

fn parse(message: &ListApiKeysRequest) -> Result<RequestedPage> {
    let mut fields = Violations::default();
    let page = fields.page(message.limit, None, &message.page_token);
    fields.finish(|| page)
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    message: ListApiKeysRequest,
) -> Result<ListApiKeysResponse> {
    let page = parse(&message)?;
    let tenant = caller.admin()?;
    let binding = Binding::new("ListApiKeys", &tenant.organization_id, None, "");
    let page = binding.open(&page)?;
    let page = store::api_keys::list(&app.db, &tenant.organization_id, &page).await?;
    Ok(ListApiKeysResponse {
        next_page_token: binding.next(&page),
        api_keys: page.rows.into_iter().map(Into::into).collect(),
    })
}
