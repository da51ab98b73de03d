use inkbox_imessage::proto::GetIdentityRequest;
use uuid::Uuid;

use crate::support::assertions::assert_alike;
use crate::support::{TestApp, assert_fields, assert_reason};

fn get(id: &str) -> GetIdentityRequest {
    GetIdentityRequest { identity_id: id.to_owned() }
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
