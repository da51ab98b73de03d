use inkbox_imessage::proto::{ContactRuleAction, GetContactRuleRequest};
use uuid::Uuid;

use super::create;
use crate::support::assertions::assert_alike;
use crate::support::{TestApp, assert_fields, assert_reason};

fn get(id: &str) -> GetContactRuleRequest {
    GetContactRuleRequest { contact_rule_id: id.to_owned() }
}

#[tokio::test]
async fn the_owner_and_its_admin_get_a_rule() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let rule = create(&admin, &identity, ContactRuleAction::Block, "+15551230001").await;
    for caller in [admin, app.agent(&identity).await] {
        assert_eq!(caller.get_contact_rule(get(&rule.id)).await.unwrap().contact_rule, Some(rule.clone()));
    }
}

#[tokio::test]
async fn unknown_foreign_and_another_identitys_read_byte_for_byte_alike() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    let of_sibling = create(&admin, &sibling, ContactRuleAction::Block, "+15551230001").await;
    let of_foreign =
        create(&app.admin("org_b").await, &foreign, ContactRuleAction::Block, "+15551230001").await;
    let unknown = get(&Uuid::from_u128(1).to_string());

    assert!(admin.get_contact_rule(get(&of_sibling.id)).await.is_ok());
    for caller in [&admin, &agent] {
        let answer = caller.get_contact_rule(unknown.clone()).await;
        assert_reason(answer.clone(), "NOT_FOUND");
        assert_alike(caller.get_contact_rule(get(&of_foreign.id)).await, answer);
    }
    let answer = agent.get_contact_rule(get(&of_sibling.id)).await;
    assert_alike(answer, agent.get_contact_rule(unknown).await);
}

#[tokio::test]
async fn a_malformed_id_is_named_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        assert_fields(caller.get_contact_rule(get("")).await, &["contact_rule_id"]);
    }
    assert_reason(app.router().await.get_contact_rule(get(&identity.id)).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().get_contact_rule(get("")).await, "API_KEY_INVALID");
}
