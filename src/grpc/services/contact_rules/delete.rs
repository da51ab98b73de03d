//! `DeleteContactRule`.

use crate::app::App;
use crate::domain::{Principal, RuleId};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::messaging::settle;
use crate::proto::{DeleteContactRuleRequest, DeleteContactRuleResponse};
use crate::store;
use crate::store::connections::SendsOf;

fn parse(request: &DeleteContactRuleRequest) -> Result<RuleId> {
    let mut violations = Violations::default();
    let id = violations.id("contact_rule_id", &request.contact_rule_id);
    violations.finish(|| id)
}

pub(super) async fn delete(
    app: &App,
    caller: &Principal,
    request: DeleteContactRuleRequest,
) -> Result<DeleteContactRuleResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_admin()?;
    let deleted =
        store::contact_rules::delete(&app.db.acting(tenant.actor()), &tenant.organization_id, id).await?;
    let rule = deleted.ok_or(Error::NotFound(Resource::ContactRule))?;
    settle(app, &tenant.organization_id, SendsOf::Recipient(rule.agent_identity_id, &rule.match_target))
        .await?;
    Ok(DeleteContactRuleResponse {})
}
