use inkbox_imessage::proto::GetIdentityRequest;
use uuid::Uuid;

use crate::support::assertions::assert_alike;
use crate::support::{TestApp, assert_fields, assert_reason};

fn get(id: &str) -> GetIdentityRequest {
    GetIdentityRequest { identity_id: id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn admins_get_the_organizations_identities_and_an_identity_key_its_own() {
    let app = TestApp::start().await;
    let (identity, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    assert_eq!(admin.get_identity(get(&identity.id)).await.unwrap().identity, Some(identity.clone()));
    assert_eq!(admin.get_identity(get(&sibling.id)).await.unwrap().identity, Some(sibling));
    assert_eq!(agent.get_identity(get(&identity.id)).await.unwrap().identity, Some(identity));
}

#[tokio::test]
async fn unknown_foreign_and_another_identitys_read_byte_for_byte_alike() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let unknown = Uuid::from_u128(1).to_string();

    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    assert_reason(admin.get_identity(get(&unknown)).await, "NOT_FOUND");
    assert_alike(admin.get_identity(get(&foreign.id)).await, admin.get_identity(get(&unknown)).await);
    for hidden in [&unknown, &foreign.id, &sibling.id] {
        assert_alike(agent.get_identity(get(hidden)).await, admin.get_identity(get(&unknown)).await);
    }
}

#[tokio::test]
async fn malformed_ids_are_named_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        for bad in ["", "nonsense", &identity.id.replace('-', ""), &format!("{{{}}}", identity.id)] {
            assert_fields(caller.get_identity(get(bad)).await, &["identity_id"]);
        }
    }
    assert_reason(app.router().await.get_identity(get(&identity.id)).await, "SCOPE_INSUFFICIENT");
}

fn by_handle(handle: &str) -> GetIdentityRequest {
    GetIdentityRequest { agent_handle: Some(handle.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn an_identity_is_found_by_its_handle_in_any_case_with_and_without_at() {
    let app = TestApp::start().await;
    let identity = app.identity_with("org_a", |new| new.agent_handle = "SalesBot".to_owned()).await;
    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        for handle in ["SalesBot", "@SalesBot", "salesbot", "@SALESBOT"] {
            let found = caller.get_identity(by_handle(handle)).await.unwrap().identity;
            assert_eq!(found, Some(identity.clone()), "{handle}");
        }
    }
}

#[tokio::test]
async fn a_handle_of_another_identity_or_organization_reads_like_an_unknown_one() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    let unknown = async || admin.get_identity(get(&Uuid::from_u128(1).to_string())).await;
    for (caller, handle) in [
        (&admin, "nobody"),
        (&admin, &foreign.agent_handle),
        (&agent, "nobody"),
        (&agent, &foreign.agent_handle),
        (&agent, &sibling.agent_handle),
    ] {
        assert_alike(caller.get_identity(by_handle(handle)).await, unknown().await);
    }
    let found = admin.get_identity(by_handle(&sibling.agent_handle)).await.unwrap().identity;
    assert_eq!(found, Some(sibling));
}

#[tokio::test]
async fn exactly_one_of_id_and_handle_is_set_and_a_handle_is_well_formed() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let both = GetIdentityRequest { identity_id: identity.id.clone(), ..by_handle(&identity.agent_handle) };
    let answer = admin.get_identity(both).await;
    assert_fields(answer, &["identity_id", "agent_handle"]);
    assert_fields(admin.get_identity(GetIdentityRequest::default()).await, &["identity_id"]);
    for bad in ["", "@", "a b", &"x".repeat(256)] {
        assert_fields(admin.get_identity(by_handle(bad)).await, &["agent_handle"]);
    }
}
