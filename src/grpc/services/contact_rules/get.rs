//! `GetContactRule`.

use crate::app::App;
use crate::domain::{Principal, RuleId};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{GetContactRuleRequest, GetContactRuleResponse};
use crate::store;

fn parse(message: &GetContactRuleRequest) -> Result<RuleId> {
    let mut fields = Violations::default();
    let id = fields.id("contact_rule_id", &message.contact_rule_id);
    fields.finish(|| id)
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    message: GetContactRuleRequest,
) -> Result<GetContactRuleResponse> {
    let id = parse(&message)?;
    let tenant = caller.tenant()?;
    let rule = store::contact_rules::get(&app.db, &tenant.organization_id, tenant.identity_id, id).await?;
    let rule = rule.ok_or(Error::NotFound(Resource::ContactRule))?;
    Ok(GetContactRuleResponse { contact_rule: Some(rule.into()) })
}
