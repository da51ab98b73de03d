use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, CreateContactRuleRequest, DeleteContactRuleRequest,
    GetContactRuleRequest, UpdateContactRuleRequest,
};
use uuid::Uuid;

use super::{create, rule_for};
use crate::support::assertions::assert_alike;
use crate::support::{TestApp, assert_fields, assert_reason};

const NUMBER: &str = "+15551230001";

#[tokio::test]
async fn a_rule_is_active_at_once_and_reads_back() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    let (admin, agent) = (app.admin("org_a").await, app.agent(&one).await);
    let requests = [
        (&admin, rule_for(Some(&one), ContactRuleAction::Block, NUMBER), &one),
        (&admin, rule_for(Some(&two), ContactRuleAction::Allow, NUMBER), &two),
        (&agent, rule_for(None, ContactRuleAction::Allow, "+15551230002"), &one),
        (&agent, rule_for(Some(&one), ContactRuleAction::Block, "+15551230003"), &one),
    ];
    for (caller, request, identity) in requests {
        let rule = caller.create_contact_rule(request.clone()).await.unwrap().contact_rule.unwrap();
        assert_eq!(rule.agent_identity_id, identity.id);
        assert_eq!((rule.action, &rule.match_target), (request.action, &request.match_target));
        assert_eq!(rule.status(), ContactRuleStatus::Active);
        assert!(rule.created_at.is_some() && rule.created_at == rule.updated_at);
        let get = GetContactRuleRequest { contact_rule_id: rule.id.clone() };
        assert_eq!(caller.get_contact_rule(get).await.unwrap().contact_rule.unwrap(), rule);
    }
}

#[tokio::test]
async fn a_number_has_one_rule_whatever_its_action_and_status() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let rule = create(&admin, &identity, ContactRuleAction::Block, NUMBER).await;
    for status in [ContactRuleStatus::Active, ContactRuleStatus::Paused] {
        let update = UpdateContactRuleRequest {
            contact_rule_id: rule.id.clone(),
            status: status.into(),
            ..Default::default()
        };
        admin.update_contact_rule(update).await.unwrap();
        for action in [ContactRuleAction::Block, ContactRuleAction::Allow] {
            for caller in [&admin, &agent] {
                let answer = caller.create_contact_rule(rule_for(Some(&identity), action, NUMBER)).await;
                let details = assert_reason(answer, "ALREADY_EXISTS");
                assert_eq!(details.error_info().unwrap().metadata["existing_id"], rule.id);
            }
        }
    }
    let get = GetContactRuleRequest { contact_rule_id: rule.id.clone() };
    let stands = admin.get_contact_rule(get).await.unwrap().contact_rule.unwrap();
    assert_eq!((stands.action(), stands.status()), (ContactRuleAction::Block, ContactRuleStatus::Paused));
}

#[tokio::test]
async fn a_deleted_rule_frees_its_number() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let first = create(&admin, &identity, ContactRuleAction::Block, NUMBER).await;
    let delete = DeleteContactRuleRequest { contact_rule_id: first.id.clone() };
    admin.delete_contact_rule(delete).await.unwrap();
    let second = create(&admin, &identity, ContactRuleAction::Allow, NUMBER).await;
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn of_rules_that_are_made_at_the_same_time_one_is_made() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (admin, request) =
                (admin.clone(), rule_for(Some(&identity), ContactRuleAction::Block, NUMBER));
            tokio::spawn(async move { admin.create_contact_rule(request).await })
        })
        .collect();
    let (mut made, mut existing) = (Vec::new(), Vec::new());
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => made.push(answer.contact_rule.unwrap().id),
            refused => {
                let details = assert_reason(refused, "ALREADY_EXISTS");
                existing.push(details.error_info().unwrap().metadata["existing_id"].clone());
            }
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(existing, vec![made[0].clone(); 7]);
}

#[tokio::test]
async fn an_identity_key_may_name_no_other_identity_whether_it_exists_or_not() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let agent = app.agent(&mine).await;
    create(&app.admin("org_a").await, &sibling, ContactRuleAction::Block, NUMBER).await;
    for named in [sibling.id, Uuid::from_u128(1).to_string()] {
        let request = CreateContactRuleRequest {
            agent_identity_id: Some(named),
            ..rule_for(None, ContactRuleAction::Block, NUMBER)
        };
        assert_reason(agent.create_contact_rule(request).await, "IDENTITY_MISMATCH");
    }
}

#[tokio::test]
async fn an_identity_that_an_admin_may_not_see_reads_like_an_unknown_one() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    create(&app.admin("org_b").await, &foreign, ContactRuleAction::Block, NUMBER).await;
    let admin = app.admin("org_a").await;
    let named = |id: String| CreateContactRuleRequest {
        agent_identity_id: Some(id),
        ..rule_for(None, ContactRuleAction::Block, NUMBER)
    };
    let answer = admin.create_contact_rule(named(Uuid::from_u128(1).to_string())).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    assert_alike(admin.create_contact_rule(named(foreign.id)).await, answer);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = CreateContactRuleRequest {
        agent_identity_id: Some(String::new()),
        action: 0,
        match_target: "5551230001".to_owned(),
    };
    let (admin, router) = (app.admin("org_a").await, app.router().await);
    for caller in [&admin, &app.agent(&identity).await, &router] {
        let fields = ["agent_identity_id", "action", "match_target"];
        assert_fields(caller.create_contact_rule(bad.clone()).await, &fields);
        let unknown = CreateContactRuleRequest {
            action: 3,
            ..rule_for(Some(&identity), ContactRuleAction::Allow, NUMBER)
        };
        assert_fields(caller.create_contact_rule(unknown).await, &["action"]);
    }
    let unnamed = rule_for(None, ContactRuleAction::Allow, NUMBER);
    assert_fields(admin.create_contact_rule(unnamed.clone()).await, &["agent_identity_id"]);
    assert_reason(router.create_contact_rule(unnamed).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().create_contact_rule(bad).await, "API_KEY_INVALID");
}
