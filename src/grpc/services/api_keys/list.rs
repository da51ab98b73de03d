//! `ListApiKeys`.

use crate::app::App;
use crate::domain::Principal;
use crate::error::Result;
use crate::grpc::wire::page_token::{ListBinding, RequestedPage};
use crate::grpc::wire::request::Violations;
use crate::proto::{ListApiKeysRequest, ListApiKeysResponse};
use crate::store;

fn parse(request: &ListApiKeysRequest) -> Result<RequestedPage> {
    let mut violations = Violations::default();
    let page = violations.page(request.limit, None, &request.page_token);
    violations.finish(|| page)
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    request: ListApiKeysRequest,
) -> Result<ListApiKeysResponse> {
    let page = parse(&request)?;
    let tenant = caller.require_admin()?;
    let binding = ListBinding::new("ListApiKeys", &tenant.organization_id, None, "");
    let page = binding.start_of(&page)?;
    let page = store::api_keys::list(&app.db, &tenant.organization_id, &page).await?;
    Ok(ListApiKeysResponse {
        next_page_token: binding.next_token(&page),
        api_keys: page.rows.into_iter().map(Into::into).collect(),
    })
}
