//! `UpdateContactRule`.

use crate::app::App;
use crate::domain::{Principal, RuleAction, RuleId, RuleStatus};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{UpdateContactRuleRequest, UpdateContactRuleResponse};
use crate::store;

struct Parsed {
    id: RuleId,
    action: Option<RuleAction>,
    status: Option<RuleStatus>,
}

fn parse(message: &UpdateContactRuleRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let id = fields.id("contact_rule_id", &message.contact_rule_id);
    let action = fields.optional_enum("action", message.action, |n| RuleAction::from_wire(n).map(Some), None);
    let status = fields.optional_enum("status", message.status, |n| RuleStatus::from_wire(n).map(Some), None);
    fields.finish(|| Some(Parsed { id: id?, action: action?, status: status? }))
}

pub(super) async fn update(
    app: &App,
    caller: &Principal,
    message: UpdateContactRuleRequest,
) -> Result<UpdateContactRuleResponse> {
    let request = parse(&message)?;
    let tenant = caller.admin()?;
    let updated = store::contact_rules::update(
        &app.db,
        &tenant.organization_id,
        request.id,
        request.action,
        request.status,
        app.clock.now(),
    )
    .await?;
    let rule = updated.ok_or(Error::NotFound(Resource::ContactRule))?;
    Ok(UpdateContactRuleResponse { contact_rule: Some(rule.into()) })
}
