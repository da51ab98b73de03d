use chrono::TimeDelta;
use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, GetContactRuleRequest, UpdateContactRuleRequest,
};
use uuid::Uuid;

use super::create;
use crate::support::assertions::assert_alike;
use crate::support::{TestApp, assert_fields, assert_reason};

fn update(id: &str, action: ContactRuleAction, status: ContactRuleStatus) -> UpdateContactRuleRequest {
    UpdateContactRuleRequest { contact_rule_id: id.to_owned(), action: action.into(), status: status.into() }
}

#[tokio::test]
async fn what_is_unspecified_stays_as_it_is() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let made = create(&admin, &identity, ContactRuleAction::Block, "+15551230001").await;
    let (keep_action, keep_status) = (ContactRuleAction::Unspecified, ContactRuleStatus::Unspecified);
    let steps = [
        (keep_action, ContactRuleStatus::Paused, ContactRuleAction::Block, ContactRuleStatus::Paused),
        (ContactRuleAction::Allow, keep_status, ContactRuleAction::Allow, ContactRuleStatus::Paused),
        (keep_action, keep_status, ContactRuleAction::Allow, ContactRuleStatus::Paused),
        (
            ContactRuleAction::Block,
            ContactRuleStatus::Active,
            ContactRuleAction::Block,
            ContactRuleStatus::Active,
        ),
    ];
    for (action, status, is_action, is_status) in steps {
        app.clock.advance(TimeDelta::minutes(1));
        let answer = admin.update_contact_rule(update(&made.id, action, status)).await.unwrap();
        let rule = answer.contact_rule.unwrap();
        assert_eq!((rule.action(), rule.status()), (is_action, is_status));
        assert_eq!((&rule.id, &rule.match_target), (&made.id, &made.match_target));
        assert_eq!((&rule.agent_identity_id, rule.created_at), (&identity.id, made.created_at));
        let get = GetContactRuleRequest { contact_rule_id: made.id.clone() };
        assert_eq!(admin.get_contact_rule(get).await.unwrap().contact_rule, Some(rule));
    }
}

#[tokio::test]
async fn a_change_moves_updated_at() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let made = create(&admin, &identity, ContactRuleAction::Block, "+15551230001").await;
    app.clock.advance(TimeDelta::minutes(1));
    let request = update(&made.id, ContactRuleAction::Unspecified, ContactRuleStatus::Paused);
    let rule = admin.update_contact_rule(request).await.unwrap().contact_rule.unwrap();
    assert!(rule.updated_at.unwrap().seconds >= made.updated_at.unwrap().seconds + 60);
}

#[tokio::test]
async fn an_identity_key_changes_nothing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let rule = create(&agent, &identity, ContactRuleAction::Block, "+15551230001").await;
    let request = update(&rule.id, ContactRuleAction::Allow, ContactRuleStatus::Paused);
    assert_reason(agent.update_contact_rule(request).await, "SCOPE_INSUFFICIENT");
    let get = GetContactRuleRequest { contact_rule_id: rule.id.clone() };
    assert_eq!(agent.get_contact_rule(get).await.unwrap().contact_rule, Some(rule));
}

#[tokio::test]
async fn unknown_and_foreign_read_byte_for_byte_alike_and_nothing_is_changed() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let other = app.admin("org_b").await;
    let rule = create(&other, &foreign, ContactRuleAction::Block, "+15551230001").await;
    let admin = app.admin("org_a").await;
    let paused = |id: &str| update(id, ContactRuleAction::Allow, ContactRuleStatus::Paused);
    let answer = admin.update_contact_rule(paused(&Uuid::from_u128(1).to_string())).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    assert_alike(admin.update_contact_rule(paused(&rule.id)).await, answer);
    let get = GetContactRuleRequest { contact_rule_id: rule.id.clone() };
    assert_eq!(other.get_contact_rule(get).await.unwrap().contact_rule, Some(rule));
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = UpdateContactRuleRequest { contact_rule_id: String::new(), action: 3, status: -1 };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let fields = ["contact_rule_id", "action", "status"];
        assert_fields(caller.update_contact_rule(bad.clone()).await, &fields);
    }
    let good = update(&identity.id, ContactRuleAction::Allow, ContactRuleStatus::Active);
    assert_reason(app.router().await.update_contact_rule(good).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().update_contact_rule(bad).await, "API_KEY_INVALID");
}
