//! `DeleteContactRule`.

use crate::app::App;
use crate::domain::{Principal, RuleId};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{DeleteContactRuleRequest, DeleteContactRuleResponse};
use crate::store;

fn parse(message: &DeleteContactRuleRequest) -> Result<RuleId> {
    let mut fields = Violations::default();
    let id = fields.id("contact_rule_id", &message.contact_rule_id);
    fields.finish(|| id)
}

pub(super) async fn delete(
    app: &App,
    caller: &Principal,
    message: DeleteContactRuleRequest,
) -> Result<DeleteContactRuleResponse> {
    let id = parse(&message)?;
    let tenant = caller.admin()?;
    if store::contact_rules::delete(&app.db, &tenant.organization_id, id).await? {
        Ok(DeleteContactRuleResponse {})
    } else {
        Err(Error::NotFound(Resource::ContactRule))
    }
}
