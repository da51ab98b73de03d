use chrono::TimeDelta;
use inkbox_imessage::proto::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, Identity, RevokeApiKeyRequest, WhoAmIRequest,
};
use uuid::Uuid;

use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::{TestApp, assert_fields, assert_reason};

fn revoke(id: &str) -> RevokeApiKeyRequest {
    RevokeApiKeyRequest { api_key_id: id.to_owned() }
}

async fn key(admin: &Caller, identity: &Identity) -> CreateApiKeyResponse {
    let request = CreateApiKeyRequest { agent_identity_id: identity.id.clone(), ..Default::default() };
    admin.create_api_key(request).await.unwrap()
}

async fn own_key(caller: &Caller) -> ApiKey {
    caller.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap()
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_others_go_on() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let (ended, other) = (key(&admin, &identity).await, key(&admin, &identity).await);
    let (agent, sibling) = (app.with_secret(&ended.secret), app.with_secret(&other.secret));
    own_key(&agent).await;
    own_key(&sibling).await;

    let made = ended.api_key.unwrap();
    let revoked = admin.revoke_api_key(revoke(&made.id)).await.unwrap().api_key.unwrap();
    assert_reason(agent.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
    assert!(revoked.revoked_at.is_some());
    assert_eq!(ApiKey { revoked_at: None, last_used_at: None, ..revoked }, made);
    own_key(&sibling).await;
}

#[tokio::test]
async fn revoking_again_changes_nothing_and_returns_the_first_revoked_at() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let id = key(&admin, &identity).await.api_key.unwrap().id;
    let first = admin.revoke_api_key(revoke(&id)).await.unwrap();
    app.clock.advance(TimeDelta::hours(1));
    assert_eq!(admin.revoke_api_key(revoke(&id)).await.unwrap(), first);
}

#[tokio::test]
async fn an_admin_key_can_end_itself() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let id = own_key(&admin).await.id;
    assert!(admin.revoke_api_key(revoke(&id)).await.is_ok());
    assert_reason(admin.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
}

#[tokio::test]
async fn unknown_foreign_and_router_keys_read_byte_for_byte_alike_and_go_on() {
    let app = TestApp::start().await;
    let (admin, foreign, router) = (app.admin("org_a").await, app.admin("org_b").await, app.router().await);
    let unknown = Uuid::from_u128(1).to_string();
    assert_reason(admin.revoke_api_key(revoke(&unknown)).await, "NOT_FOUND");
    for other in [&foreign, &router] {
        let id = own_key(other).await.id;
        assert_alike(admin.revoke_api_key(revoke(&id)).await, admin.revoke_api_key(revoke(&unknown)).await);
        assert_eq!(own_key(other).await.revoked_at, None);
    }
}

#[tokio::test]
async fn only_admin_keys_revoke_keys_and_malformed_ids_are_named_first() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let id = own_key(&agent).await.id;
    for caller in [&agent, &app.router().await] {
        assert_reason(caller.revoke_api_key(revoke(&id)).await, "SCOPE_INSUFFICIENT");
        assert_fields(caller.revoke_api_key(revoke("")).await, &["api_key_id"]);
    }
    assert_fields(app.admin("org_a").await.revoke_api_key(revoke("nonsense")).await, &["api_key_id"]);
    assert_eq!(own_key(&agent).await.revoked_at, None);
}
