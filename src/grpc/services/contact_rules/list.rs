//! `ListContactRules`.

use crate::app::App;
use crate::auth::find_named_identity;
use crate::domain::Principal;
use crate::error::Result;
use crate::grpc::wire::page_token::ListBinding;
use crate::grpc::wire::request::{ListParams, Violations};
use crate::proto::{ListContactRulesRequest, ListContactRulesResponse};
use crate::store;

fn parse(request: &ListContactRulesRequest) -> Result<ListParams> {
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
    request: ListContactRulesRequest,
) -> Result<ListContactRulesResponse> {
    let params = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let identity_id = tenant.identity_scope(params.identity_id)?;
    let binding = ListBinding::new("ListContactRules", &tenant.organization_id, identity_id, "");
    let page = binding.start_of(&params.page)?;
    find_named_identity(&app.db, tenant, identity_id).await?;
    let page = store::contact_rules::list(&app.db, &tenant.organization_id, identity_id, &page).await?;
    Ok(ListContactRulesResponse {
        next_page_token: binding.next_token(&page),
        contact_rules: page.rows.into_iter().map(Into::into).collect(),
    })
}
