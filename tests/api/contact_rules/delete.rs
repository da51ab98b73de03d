use inkbox_imessage::proto::{ContactRuleAction, DeleteContactRuleRequest, GetContactRuleRequest};
use uuid::Uuid;

use super::create;
use crate::support::assertions::assert_alike;
use crate::support::{TestApp, assert_fields, assert_reason};

fn delete(id: &str) -> DeleteContactRuleRequest {
    DeleteContactRuleRequest { contact_rule_id: id.to_owned() }
}

#[tokio::test]
async fn a_deleted_rule_is_gone_and_a_second_time_is_not_found() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let rule = create(&admin, &identity, ContactRuleAction::Block, "+15551230001").await;
    let kept = create(&admin, &identity, ContactRuleAction::Block, "+15551230002").await;
    admin.delete_contact_rule(delete(&rule.id)).await.unwrap();
    let get = |id: String| GetContactRuleRequest { contact_rule_id: id };
    assert_reason(admin.get_contact_rule(get(rule.id.clone())).await, "NOT_FOUND");
    assert!(admin.get_contact_rule(get(kept.id)).await.is_ok());
    assert_reason(admin.delete_contact_rule(delete(&rule.id)).await, "NOT_FOUND");
}

#[tokio::test]
async fn an_identity_key_deletes_nothing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let rule = create(&agent, &identity, ContactRuleAction::Block, "+15551230001").await;
    for id in [&rule.id, &Uuid::from_u128(1).to_string()] {
        assert_reason(agent.delete_contact_rule(delete(id)).await, "SCOPE_INSUFFICIENT");
    }
    let get = GetContactRuleRequest { contact_rule_id: rule.id };
    assert!(agent.get_contact_rule(get).await.is_ok());
}

#[tokio::test]
async fn unknown_and_foreign_read_byte_for_byte_alike_and_nothing_is_deleted() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let other = app.admin("org_b").await;
    let rule = create(&other, &foreign, ContactRuleAction::Block, "+15551230001").await;
    let admin = app.admin("org_a").await;
    let answer = admin.delete_contact_rule(delete(&Uuid::from_u128(1).to_string())).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    assert_alike(admin.delete_contact_rule(delete(&rule.id)).await, answer);
    let get = GetContactRuleRequest { contact_rule_id: rule.id };
    assert!(other.get_contact_rule(get).await.is_ok());
}

#[tokio::test]
async fn a_malformed_id_is_named_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        assert_fields(caller.delete_contact_rule(delete("nonsense")).await, &["contact_rule_id"]);
    }
    assert_reason(app.router().await.delete_contact_rule(delete(&identity.id)).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().delete_contact_rule(delete("")).await, "API_KEY_INVALID");
}
