use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{ContactRuleAction, Identity, ListContactRulesRequest};
use uuid::Uuid;

use super::create;
use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::{TestApp, assert_fields, assert_reason};

fn of(identity: &str) -> ListContactRulesRequest {
    ListContactRulesRequest { agent_identity_id: Some(identity.to_owned()), ..Default::default() }
}

async fn ids(caller: &Caller, request: ListContactRulesRequest) -> Vec<String> {
    let answer = caller.list_contact_rules(request).await.unwrap();
    answer.contact_rules.into_iter().map(|rule| rule.id).collect()
}

/// Rules for numbers, in this order; gives their ids, newest first. The first two tie in time.
async fn rules(app: &TestApp, identity: &Identity, numbers: std::ops::Range<u32>) -> Vec<String> {
    let admin = app.admin(&identity.organization_id).await;
    app.clock.freeze(app.clock.now());
    let mut made = Vec::new();
    for (i, n) in numbers.enumerate() {
        if i > 1 {
            app.clock.advance(TimeDelta::seconds(1));
        }
        let number = format!("+1555123{n:04}");
        made.push(create(&admin, identity, ContactRuleAction::Block, &number).await.id);
    }
    made.reverse();
    made
}

#[tokio::test]
async fn newest_first_in_the_callers_scope() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let of_one = rules(&app, &one, 0..4).await;
    let of_two = rules(&app, &two, 4..6).await;
    rules(&app, &foreign, 0..2).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&one).await);

    let all: Vec<_> = of_two.iter().chain(&of_one).cloned().collect();
    assert_eq!(ids(&admin, ListContactRulesRequest::default()).await, all);
    assert_eq!(ids(&admin, of(&one.id)).await, of_one);
    assert_eq!(ids(&admin, of(&two.id)).await, of_two);
    assert_eq!(ids(&agent, ListContactRulesRequest::default()).await, of_one);
    assert_eq!(ids(&agent, of(&one.id)).await, of_one);
}

#[tokio::test]
async fn pages_by_token_and_by_offset_visit_every_row_once() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    rules(&app, &one, 0..5).await;
    rules(&app, &two, 5..7).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&one).await);
    for (caller, scope) in [
        (&admin, ListContactRulesRequest::default()),
        (&admin, of(&one.id)),
        (&agent, ListContactRulesRequest::default()),
    ] {
        let all = ids(caller, scope.clone()).await;
        for rows in [1, 3] {
            let mut seen = Vec::new();
            let mut page_token = String::new();
            loop {
                let page = ListContactRulesRequest { limit: Some(rows), page_token, ..scope.clone() };
                let answer = caller.list_contact_rules(page).await.unwrap();
                seen.extend(answer.contact_rules.into_iter().map(|rule| rule.id));
                page_token = answer.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, all);
        }
        for offset in 0..=all.len() {
            let page = ListContactRulesRequest {
                offset: Some(i32::try_from(offset).unwrap()),
                limit: Some(2),
                ..scope.clone()
            };
            let expected: Vec<_> = all.iter().skip(offset).take(2).cloned().collect();
            assert_eq!(ids(caller, page).await, expected);
        }
    }
}

#[tokio::test]
async fn a_token_is_bound_to_its_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rules(&app, &identity, 0..3).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let first = ListContactRulesRequest { limit: Some(1), ..Default::default() };
    let page_token = admin.list_contact_rules(first).await.unwrap().next_page_token;
    let same = ListContactRulesRequest { page_token: page_token.clone(), ..Default::default() };
    assert_eq!(ids(&admin, same.clone()).await.len(), 2);
    let narrower = ListContactRulesRequest { page_token: page_token.clone(), ..of(&identity.id) };
    assert_fields(admin.list_contact_rules(narrower).await, &["page_token"]);
    assert_fields(agent.list_contact_rules(same.clone()).await, &["page_token"]);
    assert_fields(app.admin("org_b").await.list_contact_rules(same.clone()).await, &["page_token"]);
    let both = ListContactRulesRequest { offset: Some(1), ..same };
    assert_fields(admin.list_contact_rules(both).await, &["offset", "page_token"]);
}

#[tokio::test]
async fn an_identity_key_may_name_no_other_identity_and_an_admin_no_foreign_one() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    let unknown = of(&Uuid::from_u128(1).to_string());
    assert_reason(agent.list_contact_rules(of(&sibling.id)).await, "IDENTITY_MISMATCH");
    assert_reason(agent.list_contact_rules(unknown.clone()).await, "IDENTITY_MISMATCH");
    let answer = admin.list_contact_rules(unknown).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    assert_alike(admin.list_contact_rules(of(&foreign.id)).await, answer);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = ListContactRulesRequest {
        agent_identity_id: Some(String::new()),
        limit: Some(0),
        offset: Some(-1),
        page_token: String::new(),
    };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let fields = ["agent_identity_id", "limit", "offset"];
        assert_fields(caller.list_contact_rules(bad.clone()).await, &fields);
        let token =
            ListContactRulesRequest { page_token: "x".to_owned(), limit: Some(201), ..Default::default() };
        assert_fields(caller.list_contact_rules(token).await, &["limit", "page_token"]);
    }
    let answer = app.router().await.list_contact_rules(ListContactRulesRequest::default()).await;
    assert_reason(answer, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().list_contact_rules(bad).await, "API_KEY_INVALID");
}
