use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{ApiKey, CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest};
use prost_types::Timestamp;

use crate::support::callers::Caller;
use crate::support::{TestApp, assert_fields, assert_reason};

fn page(limit: i32, page_token: &str) -> ListApiKeysRequest {
    ListApiKeysRequest { limit: Some(limit), page_token: page_token.to_owned() }
}

/// Every page from the first to the last. When a key was last used is left out: the caller's own key is among them.
async fn pages(caller: &Caller, limit: i32) -> Vec<Vec<ApiKey>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let answer = caller.list_api_keys(page(limit, &token)).await.unwrap();
        pages.push(answer.api_keys.into_iter().map(|key| ApiKey { last_used_at: None, ..key }).collect());
        token = answer.next_page_token;
        if token.is_empty() {
            return pages;
        }
    }
}

#[tokio::test]
async fn the_organizations_keys_come_newest_first_page_by_page() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let foreign = app.identity("org_b").await;
    let (admin, other) = (app.admin("org_a").await, app.admin("org_b").await);
    let mut made = Vec::new();
    for _ in 0..4 {
        let of = |id: &str| CreateApiKeyRequest { agent_identity_id: id.to_owned(), ..Default::default() };
        made.push(admin.create_api_key(of(&identity.id)).await.unwrap().api_key.unwrap());
        other.create_api_key(of(&foreign.id)).await.unwrap();
    }
    made.reverse();
    let all = pages(&admin, 200).await.concat();
    assert_eq!(all[..4], made);
    // The two admin keys that this test uses itself: one made the identity.
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|key| key.organization_id.as_deref() == Some("org_a")));
    assert_eq!(pages(&admin, 4).await, [&all[..4], &all[4..]]);
    assert_eq!(pages(&admin, 3).await, [&all[..3], &all[3..]]);
}

#[tokio::test]
async fn keys_of_one_moment_are_ordered_by_id() {
    let app = TestApp::start().await;
    app.clock.freeze(app.clock.now());
    let mut admin = app.admin("org_a").await;
    for _ in 0..4 {
        admin = app.admin("org_a").await;
    }
    let listed = pages(&admin, 2).await.concat();
    let mut sorted = listed.clone();
    sorted.sort_by(|a, b| b.id.cmp(&a.id));
    assert_eq!(listed, sorted);
    assert_eq!(listed.len(), 5);
}

#[tokio::test]
async fn revoked_and_expired_keys_are_listed_too() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let end = app.clock.now() + TimeDelta::hours(1);
    let request = CreateApiKeyRequest {
        agent_identity_id: identity.id.clone(),
        label: String::new(),
        expires_at: Some(Timestamp { seconds: end.timestamp(), nanos: 0 }),
    };
    let expired = admin.create_api_key(request.clone()).await.unwrap().api_key.unwrap();
    let revoked = admin.create_api_key(request).await.unwrap().api_key.unwrap();
    let revoke = RevokeApiKeyRequest { api_key_id: revoked.id.clone() };
    let revoked = admin.revoke_api_key(revoke).await.unwrap().api_key.unwrap();
    app.clock.advance(TimeDelta::hours(2));
    assert_eq!(pages(&admin, 200).await.concat()[..2], [revoked, expired]);
}

#[tokio::test]
async fn limits_outside_1_to_200_and_tokens_of_another_list_are_refused() {
    let app = TestApp::start().await;
    let (admin, other) = (app.admin("org_a").await, app.admin("org_b").await);
    app.admin("org_b").await;
    for limit in [0, -1, 201] {
        assert_fields(admin.list_api_keys(page(limit, "")).await, &["limit"]);
    }
    let foreign = other.list_api_keys(page(1, "")).await.unwrap().next_page_token;
    for token in [foreign, "nonsense".to_owned()] {
        assert!(!token.is_empty());
        assert_fields(admin.list_api_keys(page(1, &token)).await, &["page_token"]);
    }
}

#[tokio::test]
async fn only_admin_keys_list_keys() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for caller in [app.agent(&identity).await, app.router().await] {
        assert_reason(caller.list_api_keys(page(1, "")).await, "SCOPE_INSUFFICIENT");
        assert_fields(caller.list_api_keys(page(0, "")).await, &["limit"]);
    }
}
