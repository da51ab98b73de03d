//! `ListIdentities`.

use crate::app::App;
use crate::domain::Principal;
use crate::error::Result;
use crate::grpc::wire::page_token::{ListBinding, RequestedPage};
use crate::grpc::wire::request::Violations;
use crate::proto::{ListIdentitiesRequest, ListIdentitiesResponse};
use crate::store;

fn parse(request: &ListIdentitiesRequest) -> Result<RequestedPage> {
    let mut violations = Violations::default();
    let page = violations.page(request.limit, None, &request.page_token);
    violations.finish(|| page)
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    request: ListIdentitiesRequest,
) -> Result<ListIdentitiesResponse> {
    let page = parse(&request)?;
    let tenant = caller.require_admin()?;
    let binding = ListBinding::new("ListIdentities", &tenant.organization_id, None, "");
    let page = binding.start_of(&page)?;
    let page = store::identities::list(&app.db, &tenant.organization_id, &page).await?;
    Ok(ListIdentitiesResponse {
        next_page_token: binding.next_token(&page),
        identities: page.rows.into_iter().map(Into::into).collect(),
    })
}
