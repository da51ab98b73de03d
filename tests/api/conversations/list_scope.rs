use inkbox_imessage::proto::{Identity, ListConversationsRequest, UpdateIdentityRequest};
use uuid::Uuid;

use super::{listed, numbers};
use crate::support::assertions::assert_alike;
use crate::support::{Human, TestApp, assert_fields, assert_reason};

fn of(identity: &str) -> ListConversationsRequest {
    ListConversationsRequest { agent_identity_id: Some(identity.to_owned()), ..Default::default() }
}

async fn disable(app: &TestApp, identity: &Identity) {
    let admin = app.admin(&identity.organization_id).await;
    let request = UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        imessage_enabled: Some(false),
        ..Default::default()
    };
    admin.update_identity(request).await.unwrap();
}

#[tokio::test]
async fn an_identity_key_lists_its_own_whether_it_names_itself_or_nobody() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    human.converses(&mine, "hello").await;
    other.converses(&sibling, "hello").await;

    let agent = app.agent(&mine).await;
    for request in [ListConversationsRequest::default(), of(&mine.id)] {
        let rows = agent.list_conversations(request).await.unwrap().conversations;
        assert_eq!(numbers(&rows), [&human.number]);
        assert_eq!(rows[0].agent_identity_id, mine.id);
    }
}

#[tokio::test]
async fn an_identity_key_that_names_another_is_refused_alike_whether_that_one_exists_or_not() {
    let app = TestApp::start().await;
    let mine = app.identity("org_a").await;
    let (sibling, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let disabled = app.identity_with("org_a", |identity| identity.imessage_enabled = false).await;
    let unknown = Uuid::from_u128(1).to_string();

    let agent = app.agent(&mine).await;
    assert_reason(agent.list_conversations(of(&unknown)).await, "IDENTITY_MISMATCH");
    for id in [sibling.id, foreign.id, disabled.id] {
        assert_alike(agent.list_conversations(of(&id)).await, agent.list_conversations(of(&unknown)).await);
    }
}

#[tokio::test]
async fn an_admin_key_lists_its_organization_or_the_identity_it_names() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    human.converses(&one, "hello").await;
    other.converses(&two, "hello").await;

    let admin = app.admin("org_a").await;
    assert_eq!(numbers(&listed(&admin, None).await), [&other.number, &human.number]);
    for (identity, number) in [(&one, &human.number), (&two, &other.number)] {
        let rows = admin.list_conversations(of(&identity.id)).await.unwrap().conversations;
        assert_eq!(numbers(&rows), [number]);
    }
}

#[tokio::test]
async fn unknown_and_foreign_identities_read_alike_to_an_admin_key() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let disabled = app.identity_with("org_b", |identity| identity.imessage_enabled = false).await;
    let unknown = Uuid::from_u128(1).to_string();

    let admin = app.admin("org_a").await;
    assert_reason(admin.list_conversations(of(&unknown)).await, "NOT_FOUND");
    for id in [foreign.id, disabled.id] {
        assert_alike(admin.list_conversations(of(&id)).await, admin.list_conversations(of(&unknown)).await);
    }
}

#[tokio::test]
async fn an_identity_that_an_admin_key_names_must_be_enabled() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    human.converses(&identity, "hello").await;
    disable(&app, &identity).await;

    let admin = app.admin("org_a").await;
    assert_reason(admin.list_conversations(of(&identity.id)).await, "IDENTITY_NOT_ENABLED");
    assert_eq!(numbers(&listed(&admin, None).await), [&human.number]);
}

#[tokio::test]
async fn an_identity_keys_own_disabled_identity_is_not_checked() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    human.converses(&identity, "hello").await;
    disable(&app, &identity).await;

    let agent = app.agent(&identity).await;
    for request in [ListConversationsRequest::default(), of(&identity.id)] {
        let rows = agent.list_conversations(request).await.unwrap().conversations;
        assert_eq!(numbers(&rows), [&human.number]);
    }
}

#[tokio::test]
async fn organizations_never_mix_even_for_the_same_human() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.identity("org_a").await, app.identity("org_b").await);
    let human = Human::new(&app, "+15551230001").await;
    let (_, our_id) = human.converses(&ours, "to a").await;
    let (_, their_id) = human.converses(&theirs, "to b").await;

    for (identity, id, words) in [(&ours, our_id, "to a"), (&theirs, their_id, "to b")] {
        for caller in [app.admin(&identity.organization_id).await, app.agent(identity).await] {
            let rows = listed(&caller, None).await;
            let shown: Vec<_> = rows.iter().map(|row| (&row.id, row.latest_text.as_deref())).collect();
            assert_eq!(shown, [(&id, Some(words))]);
        }
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = ListConversationsRequest {
        agent_identity_id: Some(String::new()),
        limit: Some(0),
        offset: Some(-1),
        ..Default::default()
    };
    let bad_token = ListConversationsRequest {
        agent_identity_id: Some("nonsense".to_owned()),
        limit: Some(201),
        page_token: "nonsense".to_owned(),
        ..Default::default()
    };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let answer = caller.list_conversations(bad.clone()).await;
        assert_fields(answer, &["agent_identity_id", "limit", "offset"]);
        let answer = caller.list_conversations(bad_token.clone()).await;
        assert_fields(answer, &["agent_identity_id", "limit", "page_token"]);
    }
    let router = app.router().await;
    assert_reason(router.list_conversations(of(&identity.id)).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().list_conversations(bad).await, "API_KEY_INVALID");
}
