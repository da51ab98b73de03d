//! `GetContactRule`.

use crate::app::App;
use crate::domain::{Principal, RuleId};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{GetContactRuleRequest, GetContactRuleResponse};
use crate::store;

fn parse(request: &GetContactRuleRequest) -> Result<RuleId> {
    let mut violations = Violations::default();
    let id = violations.id("contact_rule_id", &request.contact_rule_id);
    violations.finish(|| id)
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    request: GetContactRuleRequest,
) -> Result<GetContactRuleResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let rule = store::contact_rules::get(&app.db, &tenant.organization_id, tenant.identity_id, id).await?;
    let rule = rule.ok_or(Error::NotFound(Resource::ContactRule))?;
    Ok(GetContactRuleResponse { contact_rule: Some(rule.into()) })
}
