//! `CreateContactRule`.

use crate::app::App;
use crate::domain::{ContactRule, IdentityId, PhoneNumber, Principal, RuleAction, RuleStatus};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::messaging::settle;
use crate::proto::{CreateContactRuleRequest, CreateContactRuleResponse};
use crate::store;
use crate::store::connections::SendsOf;

struct Params {
    identity_id: Option<IdentityId>,
    action: RuleAction,
    match_target: PhoneNumber,
}

fn parse(caller: &Principal, request: &CreateContactRuleRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let identity_id = violations.optional_id("agent_identity_id", request.agent_identity_id.as_deref());
    if identity_id == Some(None) && caller.is_admin() {
        violations.add("agent_identity_id", "is required with an admin key");
    }
    let action = violations.required_enum("action", request.action, RuleAction::from_wire);
    let match_target = violations.subscriber("match_target", &request.match_target);
    violations
        .finish(|| Some(Params { identity_id: identity_id?, action: action?, match_target: match_target? }))
}

pub(super) async fn create(
    app: &App,
    caller: &Principal,
    request: CreateContactRuleRequest,
) -> Result<CreateContactRuleResponse> {
    let params = parse(caller, &request)?;
    let tenant = caller.require_tenant()?;
    let named = tenant.identity_scope(params.identity_id)?.ok_or(Error::NotFound(Resource::Identity))?;
    let identity = store::identities::current(&app.db, &tenant.organization_id, named).await?;
    let identity = identity.ok_or(Error::NotFound(Resource::Identity))?;
    let now = app.clock.now();
    let rule = ContactRule {
        id: app.clock.new_id().into(),
        agent_identity_id: identity.id,
        action: params.action,
        match_target: params.match_target,
        status: RuleStatus::Active,
        created_at: now,
        updated_at: now,
    };
    let created =
        store::contact_rules::create(&app.db.acting(tenant.actor()), &tenant.organization_id, rule).await?;
    let rule = created.or_already_exists(Resource::ContactRule)?;
    settle(app, &tenant.organization_id, SendsOf::Recipient(rule.agent_identity_id, &rule.match_target))
        .await?;
    Ok(CreateContactRuleResponse { contact_rule: Some(rule.into()) })
}
