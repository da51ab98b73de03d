//! `UpdateContactRule`.

use crate::app::App;
use crate::domain::{Principal, RuleAction, RuleId, RuleStatus};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::messaging::settle;
use crate::proto::{UpdateContactRuleRequest, UpdateContactRuleResponse};
use crate::store;
use crate::store::connections::SendsOf;

struct Params {
    id: RuleId,
    action: Option<RuleAction>,
    status: Option<RuleStatus>,
}

fn parse(request: &UpdateContactRuleRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let id = violations.id("contact_rule_id", &request.contact_rule_id);
    let action =
        violations.optional_enum("action", request.action, |n| RuleAction::from_wire(n).map(Some), None);
    let status =
        violations.optional_enum("status", request.status, |n| RuleStatus::from_wire(n).map(Some), None);
    violations.finish(|| Some(Params { id: id?, action: action?, status: status? }))
}

pub(super) async fn update(
    app: &App,
    caller: &Principal,
    request: UpdateContactRuleRequest,
) -> Result<UpdateContactRuleResponse> {
    let params = parse(&request)?;
    let tenant = caller.require_admin()?;
    let updated = store::contact_rules::update(
        &app.db.acting(tenant.actor()),
        &tenant.organization_id,
        params.id,
        params.action,
        params.status,
        app.clock.now(),
    )
    .await?;
    let rule = updated.ok_or(Error::NotFound(Resource::ContactRule))?;
    settle(app, &tenant.organization_id, SendsOf::Recipient(rule.agent_identity_id, &rule.match_target))
        .await?;
    Ok(UpdateContactRuleResponse { contact_rule: Some(rule.into()) })
}
