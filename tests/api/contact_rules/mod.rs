mod create;
mod delete;
mod effects;
mod get;
mod list;
mod update;

use inkbox_imessage::proto::{ContactRule, ContactRuleAction, CreateContactRuleRequest, Identity};

use crate::support::callers::Caller;

/// A rule for a number, of the identity that is named.
fn rule_for(
    identity: Option<&Identity>,
    action: ContactRuleAction,
    number: &str,
) -> CreateContactRuleRequest {
    CreateContactRuleRequest {
        agent_identity_id: identity.map(|identity| identity.id.clone()),
        action: action.into(),
        match_target: number.to_owned(),
    }
}

/// Makes a rule.
async fn create(
    caller: &Caller,
    identity: &Identity,
    action: ContactRuleAction,
    number: &str,
) -> ContactRule {
    let answer = caller.create_contact_rule(rule_for(Some(identity), action, number)).await;
    answer.unwrap().contact_rule.unwrap()
}
