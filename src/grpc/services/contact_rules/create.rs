//! `CreateContactRule`.

use crate::app::App;
use crate::domain::{ContactRule, IdentityId, PhoneNumber, Principal, RuleAction, RuleStatus};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::{Caller as _, is_admin, listed_identity};
use crate::proto::{CreateContactRuleRequest, CreateContactRuleResponse};
use crate::store;

struct Parsed {
    identity_id: Option<IdentityId>,
    action: RuleAction,
    match_target: PhoneNumber,
}

fn parse(caller: &Principal, message: &CreateContactRuleRequest) -> Result<Parsed> {
    let mut fields = Violations::default();
    let identity_id = fields.optional_id("agent_identity_id", message.agent_identity_id.as_deref());
    if identity_id == Some(None) && is_admin(caller) {
        fields.add("agent_identity_id", "is required with an admin key");
    }
    let action = fields.required_enum("action", message.action, RuleAction::from_wire);
    let match_target = fields.phone_number("match_target", &message.match_target);
    fields.finish(|| Some(Parsed { identity_id: identity_id?, action: action?, match_target: match_target? }))
}

pub(super) async fn create(
    app: &App,
    caller: &Principal,
    message: CreateContactRuleRequest,
) -> Result<CreateContactRuleResponse> {
    let request = parse(caller, &message)?;
    let tenant = caller.tenant()?;
    let named = listed_identity(tenant, request.identity_id)?.ok_or(Error::NotFound(Resource::Identity))?;
    let identity = store::identities::current(&app.db, &tenant.organization_id, named).await?;
    let identity = identity.ok_or(Error::NotFound(Resource::Identity))?;
    let now = app.clock.now();
    let rule = ContactRule {
        id: app.clock.new_id().into(),
        agent_identity_id: identity.id,
        action: request.action,
        match_target: request.match_target,
        status: RuleStatus::Active,
        created_at: now,
        updated_at: now,
    };
    let created = store::contact_rules::create(&app.db, &tenant.organization_id, rule).await?;
    let rule = created.or_already_exists(Resource::ContactRule)?;
    Ok(CreateContactRuleResponse { contact_rule: Some(rule.into()) })
}
