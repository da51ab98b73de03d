use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{Identity, ListApiKeysRequest, ListIdentitiesRequest};

use crate::support::callers::Caller;
use crate::support::{TestApp, assert_fields, assert_reason};

fn page(limit: i32, page_token: &str) -> ListIdentitiesRequest {
    ListIdentitiesRequest { limit: Some(limit), page_token: page_token.to_owned() }
}

/// Every page from the first to the last.
async fn pages(caller: &Caller, limit: i32) -> Vec<Vec<Identity>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let answer = caller.list_identities(page(limit, &token)).await.unwrap();
        pages.push(answer.identities);
        token = answer.next_page_token;
        if token.is_empty() {
            return pages;
        }
    }
}

#[tokio::test]
async fn the_organizations_identities_come_newest_first_page_by_page() {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(app.identity("org_a").await);
        app.identity("org_b").await;
    }
    made.reverse();
    let admin = app.admin("org_a").await;
    assert_eq!(pages(&admin, 200).await, [made.clone()]);
    assert_eq!(pages(&admin, 2).await, [&made[..2], &made[2..4], &made[4..]]);
    assert_eq!(pages(&admin, 5).await, [made.clone()], "a full last page has no token");
    let by_default = admin.list_identities(ListIdentitiesRequest::default()).await.unwrap();
    assert_eq!(by_default.identities, made);
}

#[tokio::test]
async fn identities_of_one_moment_are_ordered_by_id() {
    let app = TestApp::start().await;
    app.clock.freeze(app.clock.now());
    for _ in 0..5 {
        app.identity("org_a").await;
    }
    let listed = pages(&app.admin("org_a").await, 2).await.concat();
    let mut sorted = listed.clone();
    sorted.sort_by(|a, b| b.id.cmp(&a.id));
    assert_eq!(listed, sorted);
    assert_eq!(listed.len(), 5);
}

#[tokio::test]
async fn an_identity_made_between_two_pages_neither_skips_nor_repeats_another() {
    let app = TestApp::start().await;
    let mut made = vec![app.identity("org_a").await, app.identity("org_a").await];
    made.reverse();
    let admin = app.admin("org_a").await;
    let first = admin.list_identities(page(1, "")).await.unwrap();
    app.identity("org_a").await;
    let second = admin.list_identities(page(200, &first.next_page_token)).await.unwrap();
    assert_eq!([first.identities, second.identities].concat(), made);
}

#[tokio::test]
async fn fifty_are_on_a_page_unless_said() {
    let app = TestApp::start().await;
    for _ in 0..51 {
        app.identity("org_a").await;
    }
    let admin = app.admin("org_a").await;
    let first = admin.list_identities(ListIdentitiesRequest::default()).await.unwrap();
    assert_eq!(first.identities.len(), 50);
    assert!(!first.next_page_token.is_empty());
}

#[tokio::test]
async fn limits_outside_1_to_200_and_tokens_of_another_list_are_refused() {
    let app = TestApp::start().await;
    for organization in ["org_a", "org_a", "org_b", "org_b"] {
        app.identity(organization).await;
    }
    let (admin, other) = (app.admin("org_a").await, app.admin("org_b").await);
    for limit in [0, -1, 201, i32::MAX, i32::MIN] {
        assert_fields(admin.list_identities(page(limit, "")).await, &["limit"]);
    }
    let foreign = other.list_identities(page(1, "")).await.unwrap().next_page_token;
    let keys = admin.list_api_keys(ListApiKeysRequest { limit: Some(1), ..Default::default() }).await;
    for token in [foreign, keys.unwrap().next_page_token, "nonsense".to_owned()] {
        assert!(!token.is_empty());
        assert_fields(admin.list_identities(page(1, &token)).await, &["page_token"]);
    }
    assert_fields(admin.list_identities(page(0, "nonsense")).await, &["limit", "page_token"]);
}

#[tokio::test]
async fn only_admin_keys_list_identities() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for caller in [app.agent(&identity).await, app.router().await] {
        assert_reason(caller.list_identities(page(1, "")).await, "SCOPE_INSUFFICIENT");
        assert_fields(caller.list_identities(page(0, "")).await, &["limit"]);
    }
}
